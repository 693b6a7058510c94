/** A number where it is read: a button that opens it or a field that changes it, with what it was before. */
import {el, nameByText} from "./dom.js";
import {figure} from "../engine/figures.js";
import {givenField, oldNumber} from "./edits.js";
import {isHidden} from "./visibility.js";
import {hueOf, isMasked, refKey, openNumber, placeAndStep, spokenName, symbolElement} from "./detail.js";
import {mergedFrom} from "../engine/terms.js";
import {pagePhrase, phraseNodes} from "./phrases.js";

const MOST_REMEMBERED = 50000;
/** @type {WeakMap<Page, Map<string, number>>} */
const historyOfPages = new WeakMap();

/** Let an element glow once if the number that it shows is another than was shown last.
 * @param {Page} page @param {Ref} ref @param {HTMLElement} element */
function glowIfNew(page, ref, element) {
  const history = historyOfPages.get(page) ?? new Map();
  historyOfPages.set(page, history);
  if (history.size > MOST_REMEMBERED) history.clear();
  const value = page.model.number(ref);
  const place = refKey(ref);
  const before = history.get(place);
  history.set(place, value);
  if (before === undefined || Object.is(before, value)) return;
  element.classList.add("glows");
  requestAnimationFrame(() => requestAnimationFrame(() => element.classList.remove("glows")));
}

/** A number in little room. @param {number} value */
export function compact(value) {
  const text = figure(value, 4);
  return text.length > 8 ? figure(value, 2) : text;
}

/**
 * A number that opens when it is pressed.
 * @param {Page} page @param {Ref} ref
 * @param {{symbol?: boolean, label?: string, digits?: number, key?: string}} [options] before it
 */
function numberButton(page, ref, {symbol = false, label = "", digits = 4, key = "open"} = {}) {
  const isAsked = isHidden(page.store.state, ref);
  const isNone = isMasked(page.model, ref) && Number.isNaN(page.model.number(ref));
  const value = isAsked
    ? "?"
    : isNone
      ? "–"
      : digits > 4
        ? figure(page.model.number(ref), digits)
        : compact(page.model.number(ref));
  const why = isAsked ? "number.asked for" : isNone ? "number.not computed" : null;
  const was = isAsked ? null : oldNumber(page, ref, digits);
  const button = el(
    "button",
    {
      class: `open ${hueOf(page.model.quantity(ref))}`.trim(),
      "data-key": `${key} ${refKey(ref)}`,
      "data-ref": refKey(ref),
      onclick: () => openNumber(page, ref),
    },
    symbol ? symbolElement(page.model.quantity(ref)) : null,
    " ",
    label ? el("span", {class: "place", title: label}, label) : null,
    " ",
    el("span", {class: "number value"}, value),
    " ",
    was,
  );
  nameByText(button, spokenName(page, ref) + (why ? `, ${pagePhrase(page, why)}` : ""));
  if (!isAsked) glowIfNew(page, ref, button);
  return button;
}

/**
 * A number that is given: its name opens it, its field changes it.
 * @param {Page} page @param {Ref} ref @param {{symbol?: boolean, label?: string, key?: string}} [options]
 */
export function givenNumber(page, ref, {symbol = false, label = "", key = "open"} = {}) {
  const name = el(
    "button",
    {
      class: `open ${hueOf(page.model.quantity(ref))}`.trim(),
      "data-key": `${key} ${refKey(ref)}`,
      "data-ref": refKey(ref),
      onclick: () => openNumber(page, ref),
    },
    symbol ? symbolElement(page.model.quantity(ref)) : null,
    " ",
    label ? el("span", {class: "place", title: label}, label) : null,
  );
  nameByText(name, pagePhrase(page, "number.open", {name: spokenName(page, ref)}));
  const field = givenField(page, ref, !symbol && !label && key === "open");
  const row = el("span", {class: "given-number"}, symbol || label ? name : null, field, oldNumber(page, ref));
  glowIfNew(page, ref, field);
  return row;
}

/** A number with its button or field. @param {Page} page @param {Ref} ref
 * @param {{symbol?: boolean, label?: string, key?: string}} [options] */
export function anyNumber(page, ref, options = {}) {
  const canChange = page.model.isGiven(ref) && !isHidden(page.store.state, ref);
  return canChange ? givenNumber(page, ref, options) : numberButton(page, ref, options);
}

/** A bar to either side of zero, as long as a number beside the largest of its kind.
 * @param {number} value @param {number} largest */
export function signedBar(value, largest) {
  const bar = el("span", {class: `bar ${value < 0 ? "below" : "above"}`, "aria-hidden": "true"}, el("span", {}));
  const share = largest > 0 && Number.isFinite(value) ? Math.min(1, Math.abs(value) / largest) : 0;
  bar.style.setProperty("--share", share.toFixed(4));
  return bar;
}

/** The parts of a number that is merged of both directions: "the sum of h and h". @param {Page} page @param {Ref} ref */
export function mergedLinks(page, ref) {
  const merged = mergedFrom(page.model, ref);
  if (!merged) return null;
  const [forward, backward] = merged.parts.map(part => linkTo(page, part));
  return phraseNodes(page, `merge.${merged.how}`, {forward, backward});
}

/** A button that goes where a number is. @param {Page} page @param {Ref} ref */
export function linkTo(page, ref) {
  return el(
    "button",
    {class: "link", "data-key": `link ${refKey(ref)}`, onclick: () => openNumber(page, ref)},
    symbolElement(page.model.quantity(ref)),
    placeAndStep(page, ref),
  );
}
