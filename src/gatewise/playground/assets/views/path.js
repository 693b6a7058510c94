/** Above what is open: its place, level by level, and the way up. */
import {el, reveal, setText} from "./dom.js";
import {openedRef, placeAndStep, unitWords} from "./detail.js";
import {ascend} from "./levels.js";
import {pagePhrase} from "./phrases.js";
import {stepName} from "./quantities.js";

/** The names of the levels that are open. @param {Page} page @param {State} state */
function levelNames(page, state) {
  if (state.level === "overview") return [pagePhrase(page, "path.nothing")];
  const step = `${stepName(page, state.step)}, ${unitWords(page.model, state, state.unit)}`;
  const ref = state.level === "step" ? null : openedRef(page.model, state);
  const number = ref && ref.name + placeAndStep(page, {...ref, step: null});
  return [step, number, state.level === "product" ? pagePhrase(page, "path.product") : null].filter(
    name => name !== null,
  );
}

/** @param {Page} page */
export function pathView(page) {
  const names = el("h2", {class: "levels"});
  const up = el(
    "button",
    {type: "button", "aria-keyshortcuts": "Escape", onclick: () => ascend(page)},
    `${pagePhrase(page, "path.up")} `,
    el("kbd", {"aria-hidden": "true"}, "Esc"),
  );
  const element = el("div", {class: "path"}, names, up);
  page.store.show(state => {
    const isOpen = state.level !== "overview";
    setText(names, levelNames(page, state).join(" › "));
    up.hidden = !isOpen;
    reveal(element, isOpen || state.chapter === null);
  });
  return element;
}
