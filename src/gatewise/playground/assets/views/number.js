/** An opened number: its equation, its sentence, its curve, its sum, and the numbers that depend on it. */
import {isHidden} from "./visibility.js";
import {button, el, keyButton, reveal} from "./dom.js";
import {figure} from "../engine/figures.js";
import {keepFocus, oldNumber} from "./edits.js";
import {bringIntoView} from "./panes.js";
import {curveFigure} from "./curve.js";
import {equationOf, quantityName, substitutionOf} from "./formulas.js";
import {isMasked, openedRef, placeName, refKey, storedName, symbolElement, typeset, whenOf} from "./detail.js";
import {productRows, summedFor} from "./products.js";
import {sentenceOf} from "./sentences.js";
import {givenNumber, linkTo, mergedLinks} from "./number_controls.js";
import {overSteps} from "./step_terms.js";
import {carriedTo, handedOn, termsOf} from "../engine/terms.js";
import {pagePhrase, phraseNodes} from "./phrases.js";

const MOST_GOALS = 12;

/** The opened number. @param {Page} page */
export function numberView(page) {
  const root = el("div", {class: "number-view"});
  /** @type {Set<string>} */
  const opened = new Set(); // what is shown whole
  /** @type {Ref | null} */
  let last = null;
  const draw = () => keepFocus(root, () => root.replaceChildren(...drawNumber(page, opened, draw)));
  page.store.show((state, previous) => {
    const isOpen = state.level === "number" || state.level === "product";
    const ref = isOpen ? openedRef(page.model, state) : null;
    const isAnother = ref !== null && (last === null || refKey({...ref, step: last.step}) !== refKey(last));
    const hadFocus = root.contains(document.activeElement);
    if (isAnother) opened.clear();
    reveal(root, ref !== null);
    if (ref) draw();
    else root.replaceChildren();
    if (isAnother && state !== previous) moveTo(root);
    if (!ref && last && (hadFocus || document.activeElement === document.body)) returnTo({...last, step: state.step});
    last = ref;
  });
  return root;
}

/** Bring what has just opened into view, with the focus on its heading. @param {HTMLElement} root */
function moveTo(root) {
  bringIntoView(root);
  root.querySelector("h2")?.focus({preventScroll: true});
}

/** Give the focus back to the button of the number that closed. @param {Ref} ref */
function returnTo(ref) {
  const keys = [refKey(ref), refKey({...ref, step: null})];
  for (const opener of document.querySelectorAll("[data-ref]")) {
    if (!(opener instanceof HTMLElement) || !keys.includes(opener.dataset.ref ?? "")) continue;
    opener.focus();
    if (document.activeElement !== opener) opener.closest(".field")?.querySelector("input")?.focus();
    return;
  }
}

/** @param {Page} page @param {Set<string>} opened @param {() => void} redraw */
function drawNumber(page, opened, redraw) {
  const {model, store} = page;
  const ref = openedRef(model, store.state);
  if (!ref) return [];
  const value = model.number(ref);
  const isAsked = isHidden(store.state, ref);
  const isGiven = model.isGiven(ref) && !isAsked;
  const passed = isMasked(model, ref) && model.equation(ref) !== null;
  const [place, when] = [placeName(model, ref), whenOf(page, ref)];
  const heading = el(
    "h2",
    {tabindex: "-1", "data-key": "heading"},
    symbolElement(model.quantity(ref)),
    place ? ` ${pagePhrase(page, "detail.of", {place})}` : "",
    when ? `, ${when}` : "",
    ": ",
    el("span", {class: "number"}, isAsked ? "?" : passed && Number.isNaN(value) ? "–" : figure(value, 8)),
    isAsked ? null : oldNumber(page, ref, 8),
  );
  const parts = [
    el("p", {class: "what soft"}, whatItIs(page, ref, isGiven)),
    ...(isGiven ? givenParts(page, ref) : []),
  ];
  const asksHere = isAskedNear(page, ref);
  const sentence = passed ? pagePhrase(page, "number.masked") : asksHere ? "" : sentenceFor(page, ref);
  if (sentence) parts.push(el("p", {class: "sentence"}, ...typeset(page, ref, sentence)));
  if (model.equation(ref)) parts.push(equationParts(page, ref, !asksHere && !passed));
  if (model.isOverall(ref) && !isGiven) parts.push(overSteps(page, ref, opened, redraw));
  else if (ref.step !== null && !passed) parts.push(sumParts(page, ref, opened, redraw));
  return [heading, ...parts, ...roads(page, ref)];
}

/** Whether a number of the same unit and step is asked for: a sentence on one may tell another.
 * @param {Page} page @param {Ref} ref */
function isAskedNear(page, ref) {
  const names = [false, true].flatMap(backward => page.model.order(ref, backward));
  return ref.step !== null && names.some(name => isHidden(page.store.state, {...ref, name}));
}

/** @param {Page} page @param {Ref} ref @param {boolean} isGiven */
function whatItIs(page, ref, isGiven) {
  const {model} = page;
  const words = quantityName(page, ref);
  const kind = model.given(ref)?.kind;
  const source = handedOn(model, ref);
  const parts = [words && words !== ref.name ? `${words.charAt(0).toUpperCase()}${words.slice(1)}. ` : ""];
  const isToken = kind === "input" && ref.layer === 0 && ref.step !== null;
  const token = isToken ? model.wiring.tokens?.[Number(ref.step)] : undefined;
  if (token !== undefined) parts.push(pagePhrase(page, "number.token", {token}));
  else if (isGiven) parts.push(pagePhrase(page, kind === "parameter" ? "number.given always" : "number.given"));
  const links = source ? [linkTo(page, source)] : mergedLinks(page, ref);
  return el("span", {}, ...parts, ...(links ? phraseNodes(page, "number.is", {source: links}) : []));
}

/** @param {Page} page @param {Ref} ref */
function givenParts(page, ref) {
  const field = givenNumber(page, ref, {key: "opened"});
  const edit = keyButton("e", "e", () => {
    const input = field.querySelector("input");
    input?.focus();
    input?.select();
  });
  edit.button.dataset.key = "edit";
  edit.words.textContent = pagePhrase(page, "number.edit");
  return [el("p", {class: "edit-line"}, field, edit.button, el("small", {}, pagePhrase(page, "number.arrows")))];
}

/** @param {Page} page @param {Ref} ref */
function sentenceFor(page, ref) {
  if (ref.step === null || ref.at.length !== 1) return "";
  try {
    return sentenceOf(page, {...ref, step: ref.step}, ref.at);
  } catch {
    return "";
  }
}

/** @param {Page} page @param {Ref} ref @param {boolean} withNumbers */
function equationParts(page, ref, withNumbers) {
  const {step, at} = ref;
  const lines = [el("p", {class: "equation"}, equationOf(page, ref))];
  if (withNumbers && step !== null && at.length < 2) {
    lines.push(el("p", {class: "equation"}, substitutionOf(page, ref, at[0] ?? 0)));
  }
  return el("div", {class: "equations"}, ...lines);
}

/** @param {Page} page @param {Ref} ref @param {Set<string>} opened @param {() => void} redraw */
function sumParts(page, ref, opened, redraw) {
  const summed = summedFor(page, ref);
  const curve = curveFigure(page, ref);
  const terms = termsOf(page.model, summed);
  const isSum = terms.length > 1 || terms[0]?.factors.length > 1;
  if (!isSum) return el("div", {class: "parts"}, curve);
  const same = refKey(summed) === refKey(ref);
  const symbol = symbolElement(page.model.quantity(summed));
  const title = el("h3", {}, ...phraseNodes(page, terms.length > 1 ? "number.sum" : "number.product", {symbol}));
  const equation = same ? null : el("p", {class: "equation"}, equationOf(page, summed));
  return el(
    "div",
    {class: "parts"},
    curve,
    el("div", {class: "sum-part"}, title, equation, productRows(page, summed, opened, redraw)),
  );
}

/** The quantities whose equations use a number, as buttons; and the same number in the other pass.
 * @param {Page} page @param {Ref} ref */
function roads(page, ref) {
  const {model} = page;
  const users = model.order(ref, model.isGradient(ref)).filter(name => {
    const user = {...ref, name};
    return model.inputs(user).includes(ref.name) && model.axes(user).length < 2;
  });
  const goals = [...users.map(name => goalRef(page, ref, name)), ...carriedTo(model, ref)];
  const more = goals.length - MOST_GOALS;
  const links = goals.slice(0, MOST_GOALS).flatMap((goal, k) => [k ? ", " : "", linkTo(page, goal)]);
  const into = phraseNodes(page, more > 0 ? "number.into more" : "number.into", {goals: links, count: more});
  const road = el("p", {class: "roads"}, ...into);
  return [goals.length ? road : null, otherPass(page, ref)].filter(part => part !== null);
}

/** The entry of a quantity into which a number goes: of the same unit, or the chosen one where all units take it.
 * @param {Page} page @param {Ref} ref @param {string} name @returns {Ref} */
function goalRef({model, store}, ref, name) {
  const {unit, step} = store.state;
  const goal = {...ref, name};
  const [axis] = model.axes(goal);
  const isAlong = ref.at.length > 0 && model.axes(ref)[0] === axis;
  const at = axis === undefined ? [] : [isAlong ? ref.at[0] : axis === "units" ? unit : 0];
  return {...goal, at, step: model.isOverall(goal) ? null : step};
}

/** A button that opens the gradient of a number, or the number of a gradient. @param {Page} page @param {Ref} ref */
function otherPass(page, ref) {
  const {model, store} = page;
  const isGradient = model.isGradient(ref);
  const name = isGradient ? model.quantity(ref).gradient_of : model.gradientName(ref);
  const other = {...ref, name: name ?? ""};
  if (name === null || !model.has(other) || !(isGradient || model.order(ref, true).includes(name))) return null;
  const detail = storedName(model, other);
  const turn = () => store.change({backward: !isGradient, detail, level: "number", product: null});
  const symbol = symbolElement(model.quantity(other));
  const words = phraseNodes(page, isGradient ? "number.forward" : "number.backward", {symbol});
  return el("p", {class: "roads"}, button(turn, {class: "link", "data-key": "other pass"}, ...words));
}
