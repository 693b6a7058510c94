/** The products of an opened number's sum, sorted by size, each of which opens to its weight and its input. */
import {isHidden} from "./visibility.js";
import {el} from "./dom.js";
import {figure} from "../engine/figures.js";
import {openedRef, placeName, refKey, symbolElement} from "./detail.js";
import {memoised} from "../engine/memo.js";
import {anyNumber, linkTo, mergedLinks} from "./number_controls.js";
import {mergedFrom, origins, termsOf} from "../engine/terms.js";
import {symbolsOf} from "../engine/trees.js";
import {largestFirst, sumList} from "./sum_list.js";
import {phraseNodes} from "./phrases.js";

/** Whether a number is an output among others whose sum is 1. @param {Model} model @param {Ref} ref */
export function isSoftmax(model, ref) {
  return model.isHead(ref) && model.equation(ref)?.right.node === "quotient";
}

/** The number of which a nonlinearity, a clip or a part is, if that is all its equation does: a_f of f, dz of dx.
 * @param {Page} page @param {Ref} ref @returns {Ref | null} */
function argumentOf({model}, ref) {
  const right = model.equation(ref)?.right;
  if (!right) return null;
  if (right.node === "part" && right.vector.node === "symbol" && ref.step !== null)
    return {...ref, name: right.vector.text, at: [ref.at[0] + Number(right.start)]};
  if (isSoftmax(model, ref)) return {...ref, name: symbolsOf(right)[0]};
  if (right.node !== "call") return null;
  const [first, ...rest] = right.arguments;
  if (first.node !== "symbol" || rest.some(({node}) => node !== "number" && node !== "negative")) return null;
  const isSameRank = model.shape({...ref, name: first.text}).length === ref.at.length;
  return isSameRank && ref.step !== null ? {...ref, name: first.text} : null;
}

/** The number whose sum is shown for an opened one: itself, or the argument of its nonlinearity.
 * @param {Page} page @param {Ref} ref @returns {Ref} */
export function summedFor(page, ref) {
  let summed = ref;
  for (let next = argumentOf(page, ref); next; next = argumentOf(page, next)) summed = next;
  return summed;
}

/** Open the largest product of the number that is open, where it is a sum of some. @param {Page} page */
export function openLargestProduct(page) {
  const ref = openedRef(page.model, page.store.state);
  if (!ref || ref.step === null) return;
  const [product] = largestFirst(termsOf(page.model, summedFor(page, ref)).map(({value}) => value));
  if (product !== undefined) page.store.change({level: "product", product});
}

/** The numbers that an opened product is made of, and those that they were handed on from, by their keys.
 * @param {Page} page @param {State} state @returns {Map<string, Ref>} */
export function litBy(page, state) {
  return memoised(state, "lit", [], () => litNumbers(page, state));
}

/** @param {Page} page @param {State} state */
function litNumbers(page, state) {
  /** @type {Map<string, Ref>} */
  const lit = new Map();
  const ref = state.level === "product" && state.product !== null ? openedRef(page.model, state) : null;
  if (!ref || ref.step === null || state.product === null) return lit;
  const term = termsOf(page.model, summedFor(page, ref))[state.product];
  const parts = (term?.factors ?? []).flatMap(({ref: entry, tree}) =>
    entry ? [entry] : symbolRefs(page.model, summedFor(page, ref), tree),
  );
  for (const part of parts) {
    const refs = origins(page.model, part);
    for (const lamp of [...refs, ...(mergedFrom(page.model, refs.at(-1))?.parts ?? [])]) lit.set(refKey(lamp), lamp);
  }
  return lit;
}

/** The places of an opened product in the strip: its numbers in the rows, and all their steps. @param {Page} page @param {Field} field */
export function litPlaces(page, {quantity: {name, place}, rows}) {
  const refs = [...litBy(page, page.store.state).values()].filter(({step}) => step !== null);
  const isHere = (/** @type {Ref} */ number) =>
    number.name === name && number.layer === place.layer && number.direction === place.direction;
  return {
    cells: refs.filter(isHere).map(({at, step}) => ({row: rows.indexOf(at[0]), step: Number(step)})),
    steps: new Set(refs.map(({step}) => Number(step))),
  };
}

/** The numbers in a factor that is no number of the program itself: c of tanh(c).
 * @param {Model} model @param {Ref} summed @param {Tree} tree @returns {Ref[]} */
function symbolRefs(model, summed, tree) {
  return symbolsOf(tree).flatMap(name => {
    const ref = {...summed, name};
    const rank = model.shape(ref).length;
    if (rank > 0 && rank !== ref.at.length) return [];
    return [{...ref, at: rank ? ref.at : [], step: model.isOverall(ref) ? null : ref.step}];
  });
}

/** A small tree as text, for what is no entry of a quantity: 1 - f, tanh(c). @param {Tree} tree @returns {string} */
export function treeText(tree) {
  switch (tree.node) {
    case "symbol":
      return tree.text;
    case "number":
      return figure(Number(tree.value), 4);
    case "sum":
      return tree.terms
        .map((term, k) =>
          term.node === "negative" ? `${k ? " − " : "−"}${treeText(term.term)}` : `${k ? " + " : ""}${treeText(term)}`,
        )
        .join("");
    case "negative":
      return `−${treeText(tree.term)}`;
    case "product":
      return tree.factors.map(factorText).join(" · ");
    case "power":
      return `${treeText(tree.base)}${tree.exponent.node === "number" && tree.exponent.value === 2 ? "²" : `^${treeText(tree.exponent)}`}`;
    case "quotient":
      return `(${treeText(tree.over)}) / ${treeText(tree.under)}`;
    case "call":
      return `${tree.name}(${tree.arguments.map(treeText).join(", ")})`;
    case "holds":
      return `${treeText(tree.left)} ${tree.relation} ${treeText(tree.right)}`;
    case "slope":
      return treeText(tree.body);
    case "transpose":
      return treeText(tree.matrix);
    case "matmul":
      return `${treeText(tree.left)} ${treeText(tree.right)}`;
    default:
      return tree.node;
  }
}

/** A factor as text, in brackets where it is a sum. @param {Tree} tree @returns {string} */
function factorText(tree) {
  return tree.node === "sum" ? `(${treeText(tree)})` : treeText(tree);
}

/** The name of a product: the entry whose weight it has, or its symbols. @param {Page} page @param {Term} term */
function termName(page, {factors}) {
  const {model} = page;
  const weight = factors.find(({ref}) => ref && ref.at.length === 2);
  const input = factors.find(factor => factor !== weight && factor.ref && factor.ref.at.length === 1);
  if (weight && input?.ref) {
    const source = origins(model, input.ref).find(origin => model.isGiven(origin) || model.given(origin)) ?? input.ref;
    return [el("span", {class: "place"}, placeName(model, source)), " ", symbolElement(model.quantity(source))];
  }
  return factors.flatMap((factor, k) => [
    k ? " · " : "",
    factor.ref ? symbolElement(model.quantity(factor.ref)) : factorText(factor.tree),
  ]);
}

/** Whether a factor may be seen: no number in it is asked for. @param {Page} page @param {Ref} summed @param {Factor} factor */
function isSeen(page, summed, {ref, tree}) {
  if (ref) return !isHidden(page.store.state, ref);
  return symbolsOf(tree).every(name => !isHidden(page.store.state, {...summed, name}));
}

/** @param {Page} page @param {Ref} summed @param {Term} term */
function termNumbers(page, summed, {factors, negative}) {
  if (factors.length === 1 && !negative) return "";
  const numbers = factors.map((factor, k) => {
    const text = isSeen(page, summed, factor) ? figure(factor.value, 4) : "?";
    return text.startsWith("-") && k ? `(${text})` : text;
  });
  return `${negative ? "−" : ""}${negative && factors[0].value < 0 ? `(${numbers[0]})` : numbers[0]}${numbers
    .slice(1)
    .map(number => ` × ${number}`)
    .join("")}`;
}

/** One factor of an opened product: itself, and where it came from. @param {Page} page @param {Ref} summed
 * @param {Factor} factor */
function factorElement(page, summed, factor) {
  const {ref, tree, value} = factor;
  if (!ref)
    return el(
      "li",
      {},
      ...phraseNodes(page, "products.factor", {
        formula: el("span", {class: "formula-text"}, treeText(tree)),
        value: el("span", {class: "number"}, isSeen(page, summed, factor) ? figure(value, 8) : "?"),
        numbers: symbolRefs(page.model, summed, tree).map(part => anyNumber(page, part, {symbol: true, key: "factor"})),
      }),
    );
  const [, ...sources] = origins(page.model, ref);
  /** @param {Child | Child[]} source @param {number} k */
  const step = (source, k) =>
    el("span", {class: "source"}, k ? ", " : "", ...phraseNodes(page, "products.source", {source}));
  const steps = sources.map((source, k) => step(linkTo(page, source), k));
  const merged = mergedLinks(page, sources.at(-1) ?? ref);
  if (merged) steps.push(step(merged, sources.length));
  return el("li", {}, anyNumber(page, ref, {symbol: true, label: placeName(page.model, ref), key: "factor"}), ...steps);
}

/** The sum of an opened number as rows, the largest product first.
 * @param {Page} page @param {Ref} summed @param {Set<string>} opened @param {() => void} redraw */
export function productRows(page, summed, opened, redraw) {
  const {store} = page;
  const {state} = store;
  const terms = termsOf(page.model, summed);
  const values = terms.map(({value}) => value);
  const chosen = state.level === "product" && state.product !== null && state.product < terms.length;
  const open = chosen ? state.product : null;
  const isAsked = isHidden(state, summed);
  /** @param {number} index */
  const row = index => {
    const term = terms[index];
    const isOpen = index === open;
    const factors = isOpen ? term.factors.map(factor => factorElement(page, summed, factor)) : [];
    return {
      name: termName(page, term),
      factors: termNumbers(page, summed, term),
      press: () => store.change(isOpen ? {level: "number", product: null} : {level: "product", product: index}),
      isTold: !isAsked && term.factors.every(factor => isSeen(page, summed, factor)),
      inside: isOpen ? el("ul", {class: "factors-open"}, ...factors) : null,
    };
  };
  return sumList(page, summed, {kind: "product", values, order: largestFirst(values), open}, opened, redraw, row);
}
