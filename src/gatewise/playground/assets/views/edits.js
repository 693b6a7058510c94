/** Fields that change given numbers, and the list of edits with their undoing. */
import {button, el, nameByText, numberField, reveal, setText} from "./dom.js";
import {compact, figure} from "../engine/figures.js";
import {refKey, openNumber, placeName, spokenName, symbolElement} from "./detail.js";
import {writtenNumber} from "../judge/numerals.js";
import {sameEdits} from "./hash.js";
import {influenceFigure} from "./influence.js";
import {pagePhrase} from "./phrases.js";

const LARGEST = 1e100;
const TYPED = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const LONG_RUN = 200;

/** Make a given number another one; the number that it was made with is no edit.
 * @param {Page} page @param {Ref} ref @param {number} value */
export function changeNumber(page, ref, value) {
  const others = page.store.state.edits.filter(edit => refKey(edit.ref) !== refKey(ref));
  const isOriginal = value === page.model.original(ref) && !drawnNumbers(page).length;
  page.store.change({edits: isOriginal ? others : [...others, {ref, value}], playing: false});
}

/** The numbers of a cell that was drawn: they are its beginning, no changes. @param {Page} page */
function drawnNumbers({doc, store}) {
  const {chapter, premise} = store.state;
  return doc.chapters?.[chapter ?? -1]?.edits === "drawn" ? premise : [];
}

/** A given number as it was at the beginning. @param {Page} page @param {Ref} ref */
export function numberBefore(page, ref) {
  return drawnNumbers(page).find(edit => refKey(edit.ref) === refKey(ref))?.value ?? page.model.original(ref);
}

/** @param {Page} page @returns {Edit[]} */
function changesOf(page) {
  return page.store.state.edits.filter(({ref, value}) => value !== numberBefore(page, ref));
}

/** A number as it is typed, with a point for a comma and a hyphen for a minus. @param {string} text */
function plainText(text) {
  return text
    .trim()
    .replace(/^[\u2212\u2013]/, "-")
    .replace(",", ".");
}

/** The number that a text says, or null. A comma may be its point. @param {string} text */
export function readNumber(text) {
  const written = writtenNumber(text);
  return written && written !== "ambiguous" && Math.abs(written.value) <= LARGEST ? written.value : null;
}

/**
 * The text of a number whose last digit, or the one before it, is one more or less.
 * @param {string} text @param {1 | -1} sign @param {boolean} before whether it is the digit before
 * @returns {string | null}
 */
export function nudged(text, sign, before) {
  const plain = plainText(text);
  const match = /^([+-]?\d*(?:\.(\d*))?)(e[+-]?\d+)?$/i.exec(plain);
  if (!match || readNumber(plain) === null) return null;
  const decimals = match[2]?.length ?? 0;
  const last = 10 ** -decimals * (before ? 10 : 1);
  const next = (Number(match[1]) + sign * last).toFixed(decimals);
  return (Number(next) === 0 ? next.replace("-", "") : next) + (match[3] ?? "");
}

/**
 * A given number as a field: arrows change its last digit, with Shift the one before; Enter takes what is typed.
 * @param {Page} page @param {Ref} ref @param {boolean} [opens] whether a button beside it, while it has the focus, opens it
 */
export function givenField(page, ref, opens = false) {
  const {model} = page;
  const name = spokenName(page, ref);
  const text = compact(model.number(ref));
  const field = numberField({class: "given", "aria-label": name, "data-key": `field ${refKey(ref)}`, size: "8"});
  field.value = text;
  const why = el("span", {class: "why", id: `why ${refKey(ref)}`.replace(/[^\w]/g, "-"), hidden: true});
  /** @param {string} typed */
  const take = typed => {
    const value = readNumber(typed);
    const wrong = value === null;
    field.setAttribute("aria-invalid", String(wrong));
    why.hidden = !wrong;
    if (wrong) {
      const isNumber = TYPED.test(plainText(typed)) && writtenNumber(typed) !== "ambiguous";
      const problem = isNumber ? "edits.too large" : "edits.no number";
      const put = {typed: typed.trim().slice(0, 20), value: figure(model.number(ref), 4)};
      setText(why, pagePhrase(page, put.typed ? problem : "edits.nothing", put));
      field.setAttribute("aria-describedby", why.id);
      page.say(why.textContent ?? "");
      return;
    }
    field.removeAttribute("aria-describedby");
    field.value = TYPED.test(plainText(typed)) ? plainText(typed) : compact(value);
    if ((typed !== text || field.dataset.nudged) && value !== model.number(ref)) changeNumber(page, ref, value);
  };
  field.addEventListener("keydown", event => {
    if (event.key === "Enter") take(field.value);
    if (event.key === "Escape") {
      field.value = compact(model.number(ref));
      why.hidden = true;
      field.setAttribute("aria-invalid", "false");
      field.blur();
    }
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const next = nudged(field.value, event.key === "ArrowUp" ? 1 : -1, event.shiftKey);
    if (next === null) return take(field.value);
    field.value = next;
    field.dataset.nudged = "yes";
    take(next);
  });
  field.addEventListener("change", () => take(field.value));
  if (!opens) return el("span", {class: "field"}, field, why);
  const key = refKey(ref);
  const attributes = {
    class: "open-it",
    "aria-label": pagePhrase(page, "number.open", {name}),
    "data-key": `open ${key}`,
    "data-ref": key,
  };
  const open = button(() => openNumber(page, ref), attributes, pagePhrase(page, "edits.open"));
  return el("span", {class: "field"}, field, open, why);
}

/** The old number beside one that an edit changed, or null. @param {Page} page @param {Ref} ref @param {number} [digits] */
export function oldNumber(page, ref, digits = 4) {
  if (!changesOf(page).length || (drawnNumbers(page).length && !page.model.isGiven(ref))) return null;
  const isSum = ref.step === null && page.model.isGradient(ref);
  if (isSum && page.model.steps > LONG_RUN) return null; // the sum of the original would take as long again
  const [now, before] = [page.model.number(ref), numberBefore(page, ref)];
  if (Object.is(now, before) || now === before) return null;
  const text = digits > 4 ? figure(before, digits) : compact(before);
  const was = el("span", {class: "visually-hidden"}, ` ${pagePhrase(page, "edits.was")} `);
  return el("small", {class: "was", title: pagePhrase(page, "edits.before")}, was, text);
}

/** Everything that was changed, and how far it reaches. @param {Page} page */
export function changesView(page) {
  const root = el("div", {class: "changes"});
  let drawn = -1;
  page.store.show((state, previous) => {
    const same =
      state.edits === previous.edits &&
      state.premise === previous.premise &&
      state.layer === previous.layer &&
      state.direction === previous.direction;
    if (state === previous || !same || drawn !== page.runs || (state.step !== previous.step && state.edits.length)) {
      keepFocus(root, () => root.replaceChildren(...(changesOf(page).length ? listChanges(page) : [])));
      drawn = page.runs;
    }
    reveal(root, changesOf(page).length > 0);
    if (state.edits !== previous.edits) announce(page, state.edits, previous.edits);
  }, true);
  return root;
}

/** @param {Page} page @param {Edit[]} edits @param {Edit[]} before */
function announce(page, edits, before) {
  if (!edits.length) return page.say(pagePhrase(page, "edits.none"));
  const last = changesOf(page).at(-1);
  if (!last || last === before.at(-1)) return;
  page.say(pagePhrase(page, "edits.now", {name: spokenName(page, last.ref), value: figure(last.value, 4)}));
}

/** @param {Page} page */
function listChanges(page) {
  const edits = changesOf(page);
  const {edits: all, premise} = page.store.state;
  const number = edits.length === 1 ? "edits.one" : "edits.many";
  const count = pagePhrase(page, sameEdits(all, premise) ? "edits.supposed" : number, {count: edits.length});
  const items = edits.slice(-12).map(({ref, value}) =>
    el(
      "li",
      {},
      button(
        () => openNumber(page, ref),
        {"data-key": `change ${refKey(ref)}`},
        symbolElement(page.model.quantity(ref)),
        " ",
        placeName(page.model, ref),
        ref.step === null ? null : `, ${pagePhrase(page, "quantities.step", {step: ref.step})}`,
      ),
      el("span", {class: "number"}, ` ${figure(numberBefore(page, ref), 4)} → ${figure(value, 4)} `),
      undoButton(page, ref),
    ),
  );
  return [
    el("p", {}, count),
    el("ul", {class: "edits"}, ...items),
    edits.length > 12 ? el("p", {class: "soft"}, pagePhrase(page, "edits.earlier", {count: edits.length - 12})) : null,
    drawnNumbers(page).length ? null : influenceFigure(page),
  ].filter(part => part !== null);
}

/** A button that takes an edit back. @param {Page} page @param {Ref} ref */
function undoButton(page, ref) {
  const before = numberBefore(page, ref);
  const attributes = {class: "undo", "data-key": `undo ${refKey(ref)}`};
  const undo = button(() => changeNumber(page, ref, before), attributes, pagePhrase(page, "edits.undo"));
  return nameByText(undo, pagePhrase(page, "edits.back", {name: spokenName(page, ref), value: figure(before, 4)}));
}

/**
 * Draw anew without losing the focus: what had it gives it to what has the same key.
 * @param {HTMLElement} root @param {() => void} draw
 */
export function keepFocus(root, draw) {
  const held = document.activeElement;
  const key = held instanceof HTMLElement && root.contains(held) ? held.dataset.key : undefined;
  const text = held instanceof HTMLInputElement ? held.value : null;
  draw();
  if (key === undefined) return;
  const next = [...root.querySelectorAll("[data-key]")].find(
    element => element instanceof HTMLElement && element.dataset.key === key,
  );
  if (!(next instanceof HTMLElement)) return;
  if (next instanceof HTMLInputElement && text !== null && readNumber(text) !== null) next.value = text;
  next.focus({preventScroll: true});
}
