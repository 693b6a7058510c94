/** Down and up: overview, step, number, product; and from unit to unit in the order in which they are shown. */
import {bringIntoView} from "./panes.js";
import {openLargestProduct} from "./products.js";
import {rowsOf, shownQuantity} from "./quantities.js";

/** One level down. @param {Page} page */
export function descend(page) {
  const {level} = page.store.state;
  if (level === "overview") page.store.change({level: "step", playing: false});
  else if (level === "step") page.store.change({level: "number", product: null});
  else if (level === "number") openLargestProduct(page);
}

/** One level up. @param {Page} page */
export function ascend(page) {
  const {level} = page.store.state;
  if (level === "product") page.store.change({level: "number", product: null});
  else if (level === "number") page.store.change({level: "step"});
  else if (level === "step") page.store.change({level: "overview"});
}

/** Another step, within the run. @param {Page} page @param {number} by */
export function moveStep(page, by) {
  const step = Math.min(page.model.steps - 1, Math.max(0, page.store.state.step + by));
  page.store.change({step, playing: false});
}

/** The unit above or below. @param {Page} page @param {number} by */
export function moveUnit(page, by) {
  const {state} = page.store;
  const quantity = shownQuantity(page, state);
  const {hidden} = page.model.layers[state.layer].cells[state.direction];
  const order = quantity.ofUnits ? rowsOf(page, state, quantity) : Array.from({length: hidden}, (_, unit) => unit);
  const at = Math.min(order.length - 1, Math.max(0, order.indexOf(state.unit) + by));
  page.store.change({unit: order[at]});
}

/** A place of the strip was chosen: its step opens. @param {Page} page @param {number} step
 * @param {number | null} unit */
export function choosePlace(page, step, unit) {
  const {state} = page.store;
  page.store.change({
    step,
    unit: unit ?? state.unit,
    level: state.level === "overview" ? "step" : state.level,
    playing: false,
  });
}

const LEVEL_PLACES = {overview: "strip", step: "step", number: "number", product: "number"};
const DEPTHS = Object.keys(LEVEL_PLACES);

/**
 * Bring what opens into view where it lies below the window, and keep the focus where what had it is gone.
 * @param {Page} page
 */
export function followLevel(page) {
  /** @type {Element | null} */
  let last = null;
  const remember = (/** @type {FocusEvent} */ event) => {
    last = event.target instanceof Element ? event.target : null;
  };
  document.addEventListener("focusin", remember, {signal: page.closed});
  page.store.show((state, previous) => {
    if (state.level === previous.level) return;
    const place = document.getElementById(LEVEL_PLACES[state.level]);
    const isDeeper = DEPTHS.indexOf(state.level) > DEPTHS.indexOf(previous.level);
    requestAnimationFrame(() => {
      if (isDeeper && place && !place.hidden) bringIntoView(place);
      const isLost = last !== null && (!last.isConnected || last.closest("[hidden]") !== null);
      if (isDeeper || !isLost || document.activeElement !== document.body) return;
      const chosen = document.querySelector("#strip [role=gridcell][tabindex='0']");
      if (chosen instanceof HTMLElement) chosen.focus({preventScroll: true});
    });
  });
}
