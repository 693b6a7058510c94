/** One column or two panes, and scrolling to what has opened without losing sight of its cause. */
import {asksForLessMotion} from "./dom.js";

const TWO_PANES = "(min-width: 62.5rem)";
const ROOM = 12; // pixels above what is scrolled to

/** The chapter stands beside the cell where there are two panes, and else between its sentence and its strip.
 * @param {Page} page */
export function followPanes({closed}) {
  const two = matchMedia(TWO_PANES);
  const place = () => {
    const chapter = document.getElementById("margin");
    const hasTwo = two.matches && !document.documentElement.classList.contains("embedded");
    if (chapter) document.getElementById(hasTwo ? "loss" : "scene")?.before(chapter);
  };
  two.addEventListener("change", place, {signal: closed});
  place();
}

/** The part of the window in which an element scrolls. @param {Element} element */
function paneOf(element) {
  const pane = element.closest(".pane");
  const bar = document.getElementById("path")?.offsetHeight ?? 0;
  if (pane && getComputedStyle(pane).overflowY === "auto") {
    const {top, bottom} = pane.getBoundingClientRect();
    return {scroller: pane, top: top + bar, bottom};
  }
  const sticking = document.querySelector("#stage .place");
  const {bottom = 0} = sticking?.checkVisibility() ? sticking.getBoundingClientRect() : {};
  return {
    scroller: document.scrollingElement ?? document.documentElement,
    top: Math.max(0, bottom),
    bottom: innerHeight,
  };
}

/** Scroll to what has opened, as far as what was pressed stays in view. @param {Element} element */
export function bringIntoView(element) {
  const {scroller, top, bottom} = paneOf(element);
  const box = element.getBoundingClientRect();
  if (box.bottom <= bottom || box.top <= top + 0.4 * (bottom - top)) return;
  const cause = document.activeElement;
  const isBeside = !cause || cause === document.body || !scroller.contains(cause) || cause.closest("#stage .place");
  const most = isBeside ? Infinity : cause.getBoundingClientRect().top - top;
  const by = Math.min(box.top - top, most) - ROOM;
  if (by > 0) scroller.scrollBy({top: by, behavior: asksForLessMotion() ? "instant" : "smooth"});
}
