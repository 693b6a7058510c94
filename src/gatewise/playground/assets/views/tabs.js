/** Tabs for layers and directions: one of them is chosen, arrow keys move along. */
import {button, el} from "./dom.js";

/**
 * A list of tabs.
 * @param {string} label @param {string[]} names @param {string} panel the id of what they show
 * @param {(place: number) => void} choose @returns {{element: HTMLElement, select: (place: number) => void}}
 */
export function tabList(label, names, panel, choose) {
  const tabs = names.map((name, place) => button(() => choose(place), {role: "tab", "aria-controls": panel}, name));
  const element = el("div", {role: "tablist", "aria-label": label, class: "tabs", onkeydown: move}, ...tabs);

  /** @param {KeyboardEvent} event */
  function move(event) {
    const at = tabs.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const last = tabs.length - 1;
    /** @type {Record<string, number>} */
    const places = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last};
    if (!(event.key in places) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const place = (places[event.key] + tabs.length) % tabs.length;
    tabs[place].focus();
    choose(place);
  }

  return {
    element,
    select(place) {
      tabs.forEach((tab, at) => {
        tab.setAttribute("aria-selected", String(at === place));
        tab.tabIndex = at === place ? 0 : -1;
      });
    },
  };
}
