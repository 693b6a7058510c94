/** The strip: one quantity of all units over all steps. A chosen place opens its step. */
import {choiceList, el, reveal, setText} from "./dom.js";
import {figure} from "../engine/figures.js";
import {keepFocus} from "./edits.js";
import {FieldCursor, fieldOf, isSameField, spokenValue} from "./field.js";
import {WITH_NUMBERS, smallField} from "./grid.js";
import {logarithmicNote, scaleButton} from "./loss.js";
import {largeField} from "./plane.js";
import {quantitiesOf, shownQuantity} from "./quantities.js";
import {tabList} from "./tabs.js";
import {pagePhrase} from "./phrases.js";

const SMALL_ROWS = 16;
const SMALL_CELLS = 400;

/** The quantities to choose from, in groups. @param {Page} page */
function quantityChoice(page) {
  const select = el("select", {
    id: "quantity",
    "aria-label": pagePhrase(page, "strip.quantity"),
    onchange: () => {
      page.store.change({quantity: select.value, detail: select.value});
    },
  });
  let listed = "";
  /** @param {State} state */
  function update(state) {
    const key = [state.layer, state.direction, state.backward].join();
    if (key !== listed) {
      listed = key;
      const all = quantitiesOf(page, state);
      const groups = new Map(all.map(({group}) => [group, all.filter(other => other.group === group)]));
      select.replaceChildren(
        ...[...groups].map(([group, members]) =>
          el(
            "optgroup",
            {label: pagePhrase(page, `quantities.${group}`)},
            ...members.map(({name, words}) => el("option", {value: name}, `${words}, ${name}`)),
          ),
        ),
      );
    }
    select.value = shownQuantity(page, state).name;
  }
  return {select, update};
}

/** Layers and directions as tabs, where there are several. @param {Page} page */
function placeTabs(page) {
  const {layers} = page.model;
  /** @param {number} layer @param {number} direction */
  const move = (layer, direction) => {
    const {unit} = page.store.state;
    const {hidden} = layers[layer].cells[direction];
    page.store.change({layer, direction, unit: Math.min(unit, hidden - 1)});
  };
  const layerTabs = tabList(
    pagePhrase(page, "strip.layers"),
    layers.map((_, layer) => pagePhrase(page, "strip.layer", {layer})),
    "field",
    layer => move(layer, Math.min(page.store.state.direction, layers[layer].cells.length - 1)),
  );
  const names = layers[0].cells.map(cell => pagePhrase(page, `strip.${cell.direction}`));
  const directionTabs = tabList(pagePhrase(page, "strip.directions"), names, "field", direction =>
    move(page.store.state.layer, direction),
  );
  return {
    elements: [layers.length > 1 && layerTabs.element, names.length > 1 && directionTabs.element],
    /** @param {State} state */
    update(state) {
      layerTabs.select(state.layer);
      directionTabs.select(state.direction);
    },
  };
}

/** The values that the colours stand for. @param {Page} page */
function legendView(page) {
  const low = el("span", {class: "number"});
  const high = el("span", {class: "number"});
  const ramp = el("span", {class: "ramp", "aria-hidden": "true"});
  const note = el("span");
  const button = el("span");
  const element = el("span", {class: "legend"}, note, el("span", {class: "group"}, low, ramp, high), button);
  return {
    element,
    /** @param {Field} field */
    update({scale, quantity}) {
      setText(low, figure(scale.low, 3));
      setText(high, figure(scale.high, 3));
      ramp.classList.toggle("signed", scale.name === "signed");
      setText(note, scale.decades ? logarithmicNote(page, scale.decades) : "");
      const isGradient = quantity.group === "gradients";
      keepFocus(button, () => button.replaceChildren(isGradient ? scaleButton(page, page.store.state) : ""));
    },
  };
}

/** The direction of the pass along the steps. @param {Page} page */
function passView(page) {
  const {model} = page;
  const arrows = [0, 1].map(() => el("span", {"aria-hidden": "true"}));
  const words = el("span");
  const element = el("p", {class: "way soft", hidden: model.steps < 2}, arrows[0], words, arrows[1]);
  return {
    element,
    /** @param {State} state */
    update({layer, direction, backward}) {
      const isBack = (model.layers[layer].cells[direction].direction === "backward") !== backward;
      for (const arrow of arrows) setText(arrow, isBack ? "←" : "→");
      const way = pagePhrase(page, isBack ? "strip.backward" : "strip.forward");
      setText(words, pagePhrase(page, backward ? "strip.gradient goes" : "strip.cell goes", {way}));
    },
  };
}

/** @param {Page} page */
export function stripView(page) {
  const cursor = new FieldCursor(page);
  const choice = quantityChoice(page);
  const tabs = placeTabs(page);
  const legend = legendView(page);
  const pass = passView(page);
  const orders = [pagePhrase(page, "strip.plain"), pagePhrase(page, "strip.sorted")];
  const label = {"aria-label": pagePhrase(page, "strip.order")};
  const order = choiceList(label, orders, place => page.store.change({sorted: place === 1}));
  const reading = el("p", {class: "reading"});
  const small = smallField(page, cursor);
  /** @type {Field | null} */
  let field = null;
  const large = largeField(page, cursor, place => {
    if (field) setText(reading, spokenValue(page, field, place ?? cursor.of(field)));
  });
  const body = el("div", {id: "field"});
  const head = el(
    "div",
    {class: "controls"},
    choice.select,
    ...tabs.elements,
    page.doc.sorted && order,
    legend.element,
  );
  const element = el(
    "div",
    {},
    el("h2", {class: "visually-hidden"}, pagePhrase(page, "strip.title")),
    head,
    body,
    pass.element,
    reading,
  );
  if (tabs.elements.some(Boolean)) body.setAttribute("role", "tabpanel");
  let drawnOf = 0;
  let drawn = page.store.state;

  page.store.show(state => {
    reveal(element, true);
    if (!page.settled) return; // what is drawn asks for all steps, and the chosen one should not wait for them
    const isSame = field !== null && isSameField(state, drawn) && drawnOf === page.runs;
    if (!field || !isSame) field = fieldOf(page, state);
    drawnOf = page.runs;
    drawn = state;
    const view = field.rows.length <= SMALL_ROWS && field.rows.length * field.steps <= SMALL_CELLS ? small : large;
    if (body.firstElementChild !== view.element) body.replaceChildren(view.element);
    choice.update(state);
    tabs.update(state);
    legend.update(field);
    pass.update(state);
    order.value = state.sorted ? "1" : "0";
    order.disabled = !field.quantity.ofUnits;
    view.update(field, !isSame);
    reading.hidden = view === small && field.steps <= WITH_NUMBERS;
    setText(reading, spokenValue(page, field, cursor.of(field)));
  }, true);
  return element;
}
