/** The quantities of the strip, derived from the programs of the cells; and the names of steps and rows. */
import {memoised} from "../engine/memo.js";
import {decadesFor} from "./colours.js";
import {quantityName} from "./formulas.js";
import {pagePhrase} from "./phrases.js";

const LONGEST_MARK = 20; // characters
const FAINT = 0.1; // where all states of a run are smaller, colours show them larger
const GROUPS = ["gates", "states", "pre-activations", "input", "output", "gradients"];

/** The quantities of a cell that have one number for each unit or feature, in groups. @param {Page} page
 * @param {Place & {backward: boolean}} state @returns {StripQuantity[]} */
export function quantitiesOf(page, state) {
  const name = ["quantities", state.layer, state.direction, state.backward].join();
  return memoised(page, name, [], () => listQuantities(page, state));
}

/** The argument of the nonlinearity that a quantity is, as in f = σ(a_f). @param {Tree | undefined} tree */
function argumentOf(tree) {
  return tree?.node === "call" && tree.activation ? tree.arguments[0] : undefined;
}

/** @param {Page} page @param {Place & {backward: boolean}} state @returns {StripQuantity[]} */
function listQuantities(page, {layer, direction, backward}) {
  const {model} = page;
  const place = {layer, direction};
  const names = model.order(place, backward).filter(name => {
    const {axes = [], sums = true} = model.equation({...place, name}) ?? {};
    return axes.length === 1 && axes[0] !== "columns" && !sums;
  });
  const inputs = new Map(names.map(name => [name, argumentOf(model.equation({...place, name})?.right)]));
  const inner = new Set([...inputs.values()].map(tree => (tree?.node === "symbol" ? tree.text : undefined)));
  const {input} = model.roles(place);
  /** @param {string} name @returns {StripQuantity["group"]} */
  const groupOf = name => {
    if (backward) return "gradients";
    if (name === input) return "input";
    if (inputs.get(name)) return "gates";
    return inner.has(name) ? "pre-activations" : "states";
  };
  const {hidden} = model.cell(place);
  /** @type {StripQuantity[]} */
  const quantities = (backward ? names : [...names, input]).map(name => ({
    name,
    words: quantityName(page, {...place, name}),
    group: groupOf(name),
    place,
    ofUnits: name !== input && model.shape({...place, name})[0] === hidden,
    amount: model.quantity({...place, name}).amount,
  }));
  if (!backward) quantities.push(...outputQuantities(page));
  return quantities.sort((first, second) => GROUPS.indexOf(first.group) - GROUPS.indexOf(second.group));
}

/** The output at every step, where the model has a head that reads all of them. @param {Page} page
 * @returns {StripQuantity[]} */
function outputQuantities(page) {
  const {model} = page;
  if (!model.hasHead || model.readsLast) return [];
  const place = {layer: model.layers.length, direction: 0};
  const ref = {...place, name: model.roles(place).output};
  const {amount} = model.quantity(ref);
  return [{name: ref.name, words: quantityName(page, ref), group: "output", place, ofUnits: false, amount}];
}

/** The number of rows of a quantity. @param {Page} page @param {StripQuantity} quantity */
function countRows(page, {name, place}) {
  return page.model.shape({...place, name})[0];
}

/**
 * The quantity of the strip: the chosen one, where this pass of this cell has it.
 * @param {Page} page @param {State} state @returns {StripQuantity}
 */
export function shownQuantity(page, state) {
  const all = quantitiesOf(page, state);
  const {cell_gradient: gradient, forget_gate: gate} = page.model.roles(state);
  /** @param {string} name */
  const named = name => all.find(quantity => quantity.name === name);
  return named(state.quantity) ?? named(state.backward ? gradient : gate) ?? all[0];
}

/**
 * The order in which the rows of a quantity stand under each other.
 * @param {Page} page @param {State} state @param {StripQuantity} quantity @returns {number[]}
 */
export function rowsOf(page, state, quantity) {
  const count = countRows(page, quantity);
  const order = state.sorted && quantity.ofUnits ? page.doc.sorted?.[state.layer]?.[state.direction] : null;
  return order ?? Array.from({length: count}, (_, row) => row);
}

/** The name of a row of a quantity that is not of units. @param {Page} page @param {State} state @param {StripQuantity} quantity
 * @param {number} row */
export function rowName(page, state, quantity, row) {
  const cell = page.model.layers[state.layer].cells[state.direction];
  if (quantity.group === "output") return page.model.outputs[row];
  return countRows(page, quantity) === cell.features.length
    ? cell.features[row]
    : pagePhrase(page, "entry.entry", {unit: row});
}

/** The measure of a feature or an output in brackets; "" where it is unknown. @param {Page} page
 * @param {string} name */
export function measureOf(page, name) {
  const measures = page.doc.labels.measures ?? {};
  const parts = Object.hasOwn(measures, name) ? measures[name].filter(Boolean) : [];
  return parts.length ? ` (${parts.join(", ")})` : "";
}

/** When a step is: its date, and the token that it reads, where it has them. @param {Page} page @param {number} step */
export function whenWords(page, step) {
  const {doc, model} = page;
  const token = doc.reads ? undefined : model.wiring.tokens?.[step];
  return [doc.labels.times?.[step], token === undefined ? "" : pagePhrase(page, "quantities.token", {token})]
    .filter(Boolean)
    .join(", ");
}

/** The name of a step: "step 3", with its date or token where it has one. @param {Page} page @param {number} step */
export function stepName(page, step) {
  const when = whenWords(page, step);
  return pagePhrase(page, when ? "quantities.step when" : "quantities.step", {step, when});
}

/** The mark above a step in the strip. @param {Page} page @param {number} step */
function stepMark({doc, model}, step) {
  const token = doc.reads ? undefined : model.wiring.tokens?.[step];
  return `${doc.labels.times?.[step] ?? step}${token === undefined ? "" : `: ${token}`}`;
}

/** The same mark in little room. @param {Page} page @param {number} step */
export function shortMark(page, step) {
  const mark = stepMark(page, step);
  return mark.length > LONGEST_MARK ? `${mark.slice(0, LONGEST_MARK - 1)}…` : mark;
}

/**
 * The range of values that colours stand for: 0 to 1 for amounts, as far on either side of 0 for all else: to the largest
 * of the run; of states at least to 1, unless all are far below it. What is asked for does not count, since the range is
 * written down.
 * @param {Page} page @param {State} state @param {StripQuantity} quantity
 * @param {((row: number, step: number) => boolean) | null} isAsked @returns {Scale}
 */
export function scaleOf(page, {logarithmic}, quantity, isAsked) {
  if (quantity.amount) return {name: "amount", low: 0, high: 1, decades: 0};
  let [greatest, least] = [0, Infinity];
  for (let step = 0; step < page.model.steps; step += 1) {
    const values = page.model.value({...quantity.place, name: quantity.name, step});
    values.forEach((value, row) => {
      const size = Math.abs(value);
      if (!((size > greatest || size < least) && size) || isAsked?.(row, step)) return;
      [greatest, least] = [Math.max(greatest, size), Math.min(least, size)];
    });
  }
  const isState = quantity.group === "states" || quantity.group === "gates"; // of gates, the candidate
  if (isState && (greatest > FAINT || page.doc.chapters?.length)) greatest = Math.max(1, greatest);
  const end = Number.isFinite(greatest) && greatest > 0 ? greatest : 1;
  const decades = quantity.group === "gradients" && logarithmic ? decadesFor(end, least) : 0;
  return {name: "signed", low: -end, high: end, decades};
}
