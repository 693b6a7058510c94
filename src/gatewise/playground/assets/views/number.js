/** An opened number: its equation, its numbers, what is said of it, its curve, its sum, and where it goes. */
import {el, reveal} from "./dom.js";
import {figure} from "../engine/figures.js";
import {keepFocus, oldNumber} from "./edits.js";
import {curveFigure} from "./curve.js";
import {equationOf, substitutionOf} from "./formulas.js";
import {
  axesOf,
  givenOf,
  isGradient,
  isMasked,
  isOverall,
  refKey,
  openedRef,
  placeName,
  symbolElement,
  whenOf,
} from "./detail.js";
import {productRows, summedFor} from "./products.js";
import {quantityName, sentenceOf} from "./sentences.js";
import {givenNumber, isAskedFor, linkTo, mergedLinks} from "./number_controls.js";
import {overSteps} from "./step_terms.js";
import {carriedTo, handedOn, termsOf} from "../engine/terms.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Ref} Ref */

const MOST_GOALS = 12;
const MASKED = "This step is masked: the cell passes over it, and nothing is computed.";

/** The opened number. @param {Page} page */
export function numberView(page) {
  const root = el("div", {class: "number-view"});
  let all = false;
  let shownKey = "";
  const draw = () =>
    keepFocus(root, () =>
      root.replaceChildren(
        ...drawNumber(page, {
          all,
          showAll: to => {
            all = to;
            draw();
          },
        }),
      ),
    );
  page.store.show((state, previous) => {
    const ref = openedRef(page.model, state);
    const shown = ref !== null && (state.level === "number" || state.level === "product");
    const wasShown = previous !== state && (previous.level === "number" || previous.level === "product");
    const hadFocus = root.contains(document.activeElement);
    if (shown && refKey({...ref, step: null}) !== shownKey) all = false;
    reveal(root, shown);
    if (shown) draw();
    else root.replaceChildren();
    const key = shown ? refKey({...ref, step: null}) : "";
    if (shown && state !== previous && key !== shownKey) moveTo(root);
    if (!shown && wasShown && (hadFocus || document.activeElement === document.body)) returnTo(shownKey);
    shownKey = key;
  });
  return root;
}

/** Bring what has just opened into view, with the focus on its heading, which alone has to be seen. @param {HTMLElement} root */
function moveTo(root) {
  const heading = root.querySelector("h2");
  if (!heading) return;
  heading.focus({preventScroll: true});
  heading.scrollIntoView({block: "nearest"});
}

/** Give the focus back to the button of the number that closed. @param {string} key without its step */
function returnTo(key) {
  const [layer, direction, name, , at] = key.split("|");
  for (const button of document.querySelectorAll("[data-ref]")) {
    if (!(button instanceof HTMLElement)) continue;
    const parts = (button.dataset.ref ?? "").split("|");
    const isSame = parts[0] === layer && parts[1] === direction && parts[2] === name && parts[4] === at;
    if (isSame) {
      button.focus();
      if (document.activeElement !== button) button.closest(".field")?.querySelector("input")?.focus();
      return;
    }
  }
}

/** @param {Page} page @param {{all: boolean, showAll: (all: boolean) => void}} rest */
function drawNumber(page, rest) {
  const {
    model,
    store: {state},
  } = page;
  const ref = openedRef(model, state);
  if (!ref) return [];
  const {layer, direction, name} = ref;
  const value = model.number(ref);
  const isAsked = isAskedFor(page, ref);
  const isGiven = model.isGiven(ref) && !isAsked;
  const passed = isMasked(model, ref) && model.equation(layer, direction, name) !== null;
  const [place, when] = [placeName(model, ref), whenOf(page, ref)];
  const heading = el(
    "h2",
    {tabindex: "-1", "data-key": "heading"},
    symbolElement(name),
    place ? ` of ${place}` : "",
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
  const sentence = passed ? MASKED : asksHere ? "" : sentenceFor(page, ref);
  if (sentence) parts.push(el("p", {class: "sentence"}, sentence));
  if (model.equation(layer, direction, name)) parts.push(equationParts(page, ref, !asksHere && !passed));
  if (isOverall(model, layer, direction, name) && !isGiven) parts.push(overSteps(page, ref, rest));
  else if (ref.step !== null && !passed) parts.push(sumParts(page, ref, rest));
  return [heading, ...parts, ...roads(page, ref)];
}

/** Whether a number of the same unit and step is asked for: what is said of one may tell another.
 * @param {Page} page @param {Ref} ref */
function isAskedNear(page, ref) {
  const names = [false, true].flatMap(backward => page.model.order(ref.layer, ref.direction, backward));
  return ref.step !== null && names.some(name => isAskedFor(page, {...ref, name}));
}

/** @param {Page} page @param {Ref} ref @param {boolean} isGiven */
function whatItIs(page, ref, isGiven) {
  const {model} = page;
  const words = quantityName(page, ref.layer, ref.direction, ref.name);
  const kind = givenOf(model, ref.layer, ref.direction, ref.name)?.kind;
  const source = handedOn(model, ref);
  const parts = [words && words !== ref.name ? `${words.charAt(0).toUpperCase()}${words.slice(1)}. ` : ""];
  const token = ref.name === "x" && ref.layer === 0 && ref.step !== null ? model.wiring.tokens?.[ref.step] : undefined;
  if (token !== undefined) parts.push(`Given by row ${token} of the embedding: the token of this step.`);
  else if (isGiven) parts.push(kind === "parameter" ? "Given, and the same at every step." : "Given.");
  const made = source ? [linkTo(page, source)] : mergedLinks(page, ref);
  return el("span", {}, ...parts, ...(made ? ["It is ", ...made, "."] : []));
}

/** @param {Page} page @param {Ref} ref */
function givenParts(page, ref) {
  const field = givenNumber(page, ref, {key: "opened"});
  const edit = el(
    "button",
    {
      "aria-keyshortcuts": "e",
      "data-key": "edit",
      onclick: () => {
        const input = field.querySelector("input");
        input?.focus();
        input?.select();
      },
    },
    "Edit ",
    el("kbd", {}, "e"),
  );
  const help = "Arrow keys change the last digit, with Shift the one before it.";
  return [el("p", {class: "edit-line"}, field, edit, el("small", {}, help))];
}

/** @param {Page} page @param {Ref} ref */
function sentenceFor(page, ref) {
  if (ref.step === null || ref.at.length !== 1) return "";
  try {
    return sentenceOf(page, ref.layer, ref.direction, ref.name, ref.step, ref.at);
  } catch {
    return "";
  }
}

/** @param {Page} page @param {Ref} ref @param {boolean} withNumbers */
function equationParts(page, ref, withNumbers) {
  const {layer, direction, name, step, at} = ref;
  const lines = [el("p", {class: "equation"}, equationOf(page, layer, direction, name))];
  if (withNumbers && step !== null && at.length < 2) {
    lines.push(el("p", {class: "equation"}, substitutionOf(page, layer, direction, name, step, at[0] ?? 0)));
  }
  return el("div", {class: "equations"}, ...lines);
}

/** @param {Page} page @param {Ref} ref @param {{all: boolean, showAll: (all: boolean) => void}} rest */
function sumParts(page, ref, rest) {
  const summed = summedFor(page, ref);
  const curve = curveFigure(page, ref);
  const terms = termsOf(page.model, summed);
  const isSum = terms.length > 1 || terms[0]?.factors.length > 1;
  if (!isSum) return el("div", {class: "parts"}, curve);
  const same = refKey(summed) === refKey(ref);
  const title = el(
    "h3",
    {},
    terms.length > 1 ? "The sum " : "The product ",
    symbolElement(summed.name),
    terms.length > 1 ? ", largest first" : "",
  );
  const equation = same
    ? null
    : el("p", {class: "equation"}, equationOf(page, summed.layer, summed.direction, summed.name));
  return el(
    "div",
    {class: "parts"},
    curve,
    el("div", {class: "sum-part"}, title, equation, productRows(page, summed, rest)),
  );
}

/** The quantities whose equations use a number, as buttons; and the same number in the other pass.
 * @param {Page} page @param {Ref} ref */
function roads(page, ref) {
  const {model} = page;
  const gradient = isGradient(ref.name);
  const names = model
    .order(ref.layer, ref.direction, gradient)
    .filter(
      one =>
        model.equation(ref.layer, ref.direction, one) && model.inputs(ref.layer, ref.direction, one).includes(ref.name),
    );
  const goals = [...new Set(names)]
    .filter(one => axesOf(model, ref.layer, ref.direction, one).length < 2)
    .map(one => goalRef(page, ref, one));
  goals.push(...carriedTo(model, ref));
  const parts = [];
  if (goals.length) {
    parts.push(
      el(
        "p",
        {class: "roads"},
        "It goes into ",
        ...goals.slice(0, MOST_GOALS).flatMap((one, k) => [k ? ", " : "", linkTo(page, one)]),
        goals.length > MOST_GOALS ? ` and ${goals.length - MOST_GOALS} others` : "",
        ".",
      ),
    );
  }
  const other = otherPass(page, ref);
  if (other) parts.push(other);
  return parts;
}

/** The entry of a quantity into which a number goes: of the same unit, or the chosen one where all units take it.
 * @param {Page} page @param {Ref} ref @param {string} name @returns {Ref} */
function goalRef({model, store: {state}}, ref, name) {
  const {layer, direction} = ref;
  const [axis] = axesOf(model, layer, direction, name);
  const same = ref.at.length > 0 && axesOf(model, layer, direction, ref.name)[0] === axis;
  const at = axis === undefined ? [] : [same ? ref.at[0] : axis === "units" ? state.unit : 0];
  return {layer, direction, name, at, step: isOverall(model, layer, direction, name) ? null : state.step};
}

/** @param {Page} page @param {Ref} ref */
function otherPass(page, ref) {
  const {model, store} = page;
  const gradient = isGradient(ref.name);
  const name = gradient ? ref.name.slice(1) : `d${ref.name}`;
  const known = gradient
    ? (model.equation(ref.layer, ref.direction, name) ?? givenOf(model, ref.layer, ref.direction, name))
    : model.order(ref.layer, ref.direction, true).includes(name);
  if (!known) return null;
  const stored = store.state.name.replace(ref.name, name);
  return el(
    "p",
    {class: "roads"},
    el(
      "button",
      {
        class: "link",
        "data-key": "other pass",
        onclick: () => store.change({backward: !gradient, name: stored, level: "number", product: null}),
      },
      gradient ? "the number itself, forward: " : "how the loss depends on it, backward: ",
      symbolElement(name),
    ),
  );
}
