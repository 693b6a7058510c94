/** A number where it is read: a button that opens it or a field that changes it, with what it was before. */
import {button, el, nameByText} from "./dom.js";
import {compact} from "../engine/figures.js";
import {memoised} from "../engine/memo.js";
import {givenField, oldNumber} from "./edits.js";
import {isHidden} from "./visibility.js";
import {hueOf, isMasked, refKey, openNumber, placeAndStep, spokenName, symbolElement} from "./detail.js";
import {mergedFrom} from "../engine/terms.js";
import {pagePhrase, phraseNodes} from "./phrases.js";

const MOST_REMEMBERED = 50000;

/** Let an element glow once if the number that it shows is another than was shown last.
 * @param {Page} page @param {Ref} ref @param {HTMLElement} element */
function glowIfNew(page, ref, element) {
  const history = memoised(page, "history", [], () => /** @type {Map<string, number>} */ (new Map()));
  if (history.size > MOST_REMEMBERED) history.clear();
  const value = page.model.number(ref);
  const place = refKey(ref);
  const before = history.get(place);
  history.set(place, value);
  if (before === undefined || Object.is(before, value)) return;
  element.classList.add("glows");
  requestAnimationFrame(() => requestAnimationFrame(() => element.classList.remove("glows")));
}

/** @typedef {{symbol?: boolean, label?: string, key?: string}} Lead what stands before a number, and the key of its button */

/** A button that opens a number. @param {Page} page @param {Ref} ref @param {Lead} lead
 * @param {...Child} value behind the lead */
function openingButton(page, ref, {symbol = false, label = "", key = "open"}, ...value) {
  const quantity = page.model.quantity(ref);
  const attributes = {class: `open ${hueOf(quantity)}`.trim(), "data-key": `${key} ${refKey(ref)}`};
  return button(
    () => openNumber(page, ref),
    {...attributes, "data-ref": refKey(ref)},
    symbol ? symbolElement(quantity) : null,
    " ",
    label ? el("span", {class: "place", title: label}, label) : null,
    ...value,
  );
}

/** A number that opens when it is pressed. @param {Page} page @param {Ref} ref @param {Lead} lead */
function numberButton(page, ref, lead) {
  const isAsked = isHidden(page.store.state, ref);
  const number = page.model.number(ref);
  const isNone = isMasked(page.model, ref) && Number.isNaN(number);
  const value = el("span", {class: "number value"}, isAsked ? "?" : isNone ? "–" : compact(number));
  const why = isAsked ? "number.asked for" : isNone ? "number.not computed" : null;
  const element = openingButton(page, ref, lead, " ", value, " ", isAsked ? null : oldNumber(page, ref));
  nameByText(element, spokenName(page, ref) + (why ? `, ${pagePhrase(page, why)}` : ""));
  if (!isAsked) glowIfNew(page, ref, element);
  return element;
}

/** A number that is given: its name opens it, its field changes it. @param {Page} page @param {Ref} ref
 * @param {Lead} lead */
export function givenNumber(page, ref, lead) {
  const isNamed = Boolean(lead.symbol || lead.label);
  const name = isNamed ? openingButton(page, ref, lead) : null;
  if (name) nameByText(name, pagePhrase(page, "number.open", {name: spokenName(page, ref)}));
  const field = givenField(page, ref, !isNamed && !lead.key);
  const row = el("span", {class: "given-number"}, name, field, oldNumber(page, ref));
  glowIfNew(page, ref, field);
  return row;
}

/** A number with its button or field. @param {Page} page @param {Ref} ref @param {Lead} [options] */
export function anyNumber(page, ref, options = {}) {
  const canChange = page.model.isGiven(ref) && !isHidden(page.store.state, ref);
  return canChange ? givenNumber(page, ref, options) : numberButton(page, ref, options);
}

/** A button that shows what was left out, or leaves it out again. @param {string} key of what it shows, in `opened` once
 * it is shown @param {string} words @param {Set<string>} opened @param {() => void} redraw @param {string} [label] */
export function restButton(key, words, opened, redraw, label) {
  const turn = () => {
    if (!opened.delete(key)) opened.add(key);
    redraw();
  };
  return button(
    turn,
    {class: "rest", "data-key": `rest ${key}`, "aria-expanded": String(opened.has(key)), "aria-label": label},
    words,
  );
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
  const words = [symbolElement(page.model.quantity(ref)), placeAndStep(page, ref)];
  return button(() => openNumber(page, ref), {class: "link", "data-key": `link ${refKey(ref)}`}, ...words);
}
