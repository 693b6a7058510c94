/** Above what is open: its place, level by level, and the way up. */
import {el, keyButton, setChildren, setText} from "./dom.js";
import {openedRef, placeAndStep, typeset, unitWords} from "./detail.js";
import {ascend, descend} from "./levels.js";
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

/** The words for one level down. @param {Page} page @param {State} state */
function downWords(page, state) {
  if (state.level === "overview") return pagePhrase(page, "path.open step", {step: state.step});
  if (state.level === "step") return pagePhrase(page, "number.open", {name: state.detail});
  return pagePhrase(page, "path.open product");
}

/** @param {Page} page */
export function pathView(page) {
  const names = el("h2", {class: "levels"});
  const down = keyButton("Enter", "Enter", () => descend(page));
  const up = keyButton("Escape", "Esc", () => ascend(page));
  setText(up.words, pagePhrase(page, "path.up"));
  const element = el("div", {class: "path"}, names, el("span", {class: "group"}, down.button, up.button));
  page.store.show(state => {
    setChildren(names, ...typeset(page, state, levelNames(page, state).join(" › ")));
    setText(down.words, downWords(page, state));
    down.button.hidden = state.level === "product";
    up.button.hidden = state.level === "overview";
  });
  return element;
}
