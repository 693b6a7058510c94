/** One column or two panes, and scrolling to what has opened without losing sight of its cause. */

const TWO_PANES = "(min-width: 62.5rem)";
const ROOM = 12; // pixels above what is scrolled to

/** What was pressed last. */
const pressed = {element: /** @type {Element | null} */ (null)};

/** The scene's view and the chapter stand beside the cell where there are two panes, else above its player and strip.
 * @param {Page} page */
export function followPanes({closed}) {
  const two = matchMedia(TWO_PANES);
  const place = () => {
    const hasTwo = two.matches && !document.documentElement.classList.contains("embedded");
    for (const [id, before] of [
      ["scene", hasTwo ? "margin" : "player"],
      ["margin", hasTwo ? "loss" : "strip"],
    ]) {
      const [element, next] = [id, before].map(name => document.getElementById(name));
      if (element && element.nextElementSibling !== next) next?.before(element); // which would take its focus away
    }
  };
  two.addEventListener("change", place, {signal: closed});
  place();
  for (const kind of ["pointerdown", "keydown"]) {
    const note = (/** @type {Event} */ {target}) => {
      pressed.element = target instanceof Element && target !== document.body ? target : null;
    };
    document.addEventListener(kind, note, {capture: true, signal: closed});
  }
}

/** What was pressed, or what has been drawn in its place. */
function causeInPage() {
  const cause = pressed.element?.closest("[data-key]") ?? pressed.element;
  if (!cause || cause.isConnected) return cause;
  const key = cause.getAttribute("data-key");
  return key === null ? null : document.querySelector(`[data-key="${CSS.escape(key)}"]`);
}

/** The part of the window in which an element scrolls. @param {Element} element */
function paneOf(element) {
  const pane = element.closest(".pane");
  const bar = document.getElementById("path")?.offsetHeight ?? 0;
  if (pane && getComputedStyle(pane).overflowY === "auto") {
    const {top, bottom} = pane.getBoundingClientRect();
    return {scroller: pane, top: top + bar, bottom};
  }
  const stage = document.querySelector("#stage .stage-place");
  const top = stage && getComputedStyle(stage).position === "sticky" ? stage.getBoundingClientRect().height : 0;
  return {scroller: document.scrollingElement ?? document.documentElement, top, bottom: innerHeight - bar};
}

/** Focus what a view begins with; in one column, a new one comes to stand below the stage. @param {HTMLElement | null} first
 * @param {boolean} isNew */
export function beginAt(first, isNew) {
  first?.focus();
  if (isNew && !matchMedia(TWO_PANES).matches) first?.scrollIntoView({block: "start"});
}

/** Scroll to what has opened, as far as what was pressed stays in view. @param {Element} element */
export function bringIntoView(element) {
  const {scroller, top, bottom} = paneOf(element);
  const box = element.getBoundingClientRect();
  if (box.bottom <= bottom || box.top <= top + 0.4 * (bottom - top)) return;
  const cause = causeInPage();
  const isBeside = !cause || !scroller.contains(cause) || cause.closest(".stage-place, #path");
  const most = isBeside ? Infinity : cause.getBoundingClientRect().top - top;
  const by = Math.min(box.top - top, most) - ROOM;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (by > 0) scroller.scrollBy({top: by, behavior: isStill ? "instant" : "smooth"});
}
