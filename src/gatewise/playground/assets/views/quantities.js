/** Which quantities the strip can show, derived from the programs of the cells. */
import {cellStateOf} from "../engine/cell_state.js";
import {quantityName} from "./sentences.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./colours.js").Scale} Scale */
/**
 * @typedef {object} Quantity
 * @property {string} name as in the program
 * @property {string} words
 * @property {"gates" | "states" | "pre-activations" | "input" | "output" | "gradients"} group
 * @property {{layer: number, direction: number}} place whose quantity it is: that of the cell, or of the head
 * @property {boolean} ofUnits whether its rows are the units of the cell
 * @property {boolean} amount whether its values lie between 0 and 1
 */

const GROUPS = ["gates", "states", "pre-activations", "input", "output", "gradients"];

/** @type {WeakMap<object, Map<string, Quantity[]>>} */
const quantitiesOfPages = new WeakMap();

/** The function that a quantity is of another one, as in f = σ(a_f). @param {any} tree */
function outerCall(tree) {
  return tree?.node === "call" && tree.activation ? tree : null;
}

/** Whether a nonlinearity stays between 0 and 1. @param {any} call */
function isAmount(call) {
  return /sigmoid$/.test(call?.activation?.name ?? "");
}

/**
 * The quantities of a cell that have one number for each unit or feature, in groups.
 * @param {Page} page @param {number} layer @param {number} direction @param {boolean} backward @returns {Quantity[]}
 */
export function quantitiesOf(page, layer, direction, backward) {
  const kept = quantitiesOfPages.get(page) ?? new Map();
  quantitiesOfPages.set(page, kept);
  const key = [layer, direction, backward].join();
  if (!kept.has(key)) kept.set(key, listQuantities(page, layer, direction, backward));
  return kept.get(key);
}

/** @param {Page} page @param {number} layer @param {number} direction @param {boolean} backward */
function listQuantities(page, layer, direction, backward) {
  const {model} = page;
  const names = model.order(layer, direction, backward).filter(name => {
    const found = model.equation(layer, direction, name);
    return found && found.axes.length === 1 && found.axes[0] !== "columns" && !found.sums;
  });
  const calls = new Map(names.map(name => [name, outerCall(model.equation(layer, direction, name)?.right)]));
  const inner = new Set([...calls.values()].map(call => call?.arguments[0]?.text));
  /** @param {string} name @returns {Quantity["group"]} */
  const groupOf = name => {
    if (backward) return "gradients";
    if (name === "x") return "input";
    if (calls.get(name)) return "gates";
    return inner.has(name) ? "pre-activations" : "states";
  };
  const {hidden} = model.layers[layer].cells[direction];
  const all = backward ? names : [...names, "x"];
  /** @type {Quantity[]} */
  const found = all.map(name => ({
    name,
    words: quantityName(page, layer, direction, name),
    group: groupOf(name),
    place: {layer, direction},
    ofUnits: name !== "x" && model.shape(layer, direction, name)[0] === hidden,
    amount: isAmount(calls.get(name)),
  }));
  if (!backward) found.push(...outputQuantities(page));
  return found.sort((one, other) => GROUPS.indexOf(one.group) - GROUPS.indexOf(other.group));
}

/** What the model puts out at every step, where it has a head that reads all of them. @param {Page} page
 * @returns {Quantity[]} */
function outputQuantities(page) {
  const {model} = page;
  if (!model.hasHead || model.readsLast) return [];
  const place = {layer: model.layers.length, direction: 0};
  const call = outerCall(model.equation(place.layer, 0, "y")?.right);
  const words = quantityName(page, place.layer, 0, "y");
  return [{name: "y", words, group: "output", place, ofUnits: false, amount: isAmount(call)}];
}

/** How many rows a quantity has. @param {Page} page @param {Quantity} quantity */
function countRows(page, {name, place}) {
  return page.model.shape(place.layer, place.direction, name)[0];
}

/**
 * What the strip shows: the chosen quantity, where this pass of this cell has it.
 * @param {Page} page @param {State} state @returns {Quantity}
 */
export function shownQuantity(page, state) {
  const all = quantitiesOf(page, state.layer, state.direction, state.backward);
  /** @param {string} name */
  const named = name => all.find(one => one.name === name);
  return (
    named(state.quantity) ??
    named(state.backward ? cellStateOf(page.model, state.layer, state.direction).gradient : "f") ??
    all[0]
  );
}

/**
 * The order in which the rows of a quantity stand under each other.
 * @param {Page} page @param {State} state @param {Quantity} quantity @returns {number[]}
 */
export function rowsOf(page, state, quantity) {
  const count = countRows(page, quantity);
  const order = state.sorted && quantity.ofUnits ? page.doc.sorted?.[state.layer]?.[state.direction] : null;
  return order ?? Array.from({length: count}, (_, row) => row);
}

/** What a row of a quantity that is not of units is called. @param {Page} page @param {State} state @param {Quantity} quantity
 * @param {number} row */
export function rowName(page, state, quantity, row) {
  const cell = page.model.layers[state.layer].cells[state.direction];
  if (quantity.group === "output") return page.model.outputs[row];
  return countRows(page, quantity) === cell.features.length ? cell.features[row] : `entry ${row}`;
}

/** What a feature or an output measures, in brackets; "" where that is not said. @param {Page} page
 * @param {string} name */
export function measureOf(page, name) {
  const measures = page.doc.labels.measures ?? {};
  const found = Object.hasOwn(measures, name) ? measures[name].filter(Boolean) : [];
  return found.length ? ` (${found.join(", ")})` : "";
}

/** When a step is: its date, and the token that it reads, where it has them. @param {Page} page @param {number} step */
export function whenWords({doc, model}, step) {
  const token = model.wiring.tokens?.[step];
  return [doc.labels.times?.[step], token === undefined ? "" : `token ${token}`].filter(Boolean).join(", ");
}

/** What a step is called: "step 3", with its date or token where it has one. @param {Page} page @param {number} step */
export function stepName(page, step) {
  const when = whenWords(page, step);
  return when ? `step ${step} (${when})` : `step ${step}`;
}

/** What stands above a step in the strip. @param {Page} page @param {number} step */
export function stepMark({doc, model}, step) {
  const token = model.wiring.tokens?.[step];
  return `${doc.labels.times?.[step] ?? step}${token === undefined ? "" : `: ${token}`}`;
}

/**
 * The range of values that colours stand for: 0 to 1 for amounts, as far on either side of 0 for all else. What is asked for
 * does not count, since the range is written down.
 * @param {Page} page @param {Quantity} quantity @param {((row: number, step: number) => boolean) | null} isAsked
 * @returns {Scale}
 */
export function scaleOf(page, quantity, isAsked) {
  if (quantity.amount) return {name: "amount", low: 0, high: 1};
  let greatest = 0;
  for (let step = 0; step < page.model.steps; step += 1) {
    const values = page.model.value(quantity.place.layer, quantity.place.direction, quantity.name, step);
    values.forEach((value, row) => {
      if (Math.abs(value) > greatest && !isAsked?.(row, step)) greatest = Math.abs(value);
    });
  }
  const end = Number.isFinite(greatest) && greatest > 0 ? greatest : 1;
  return {name: "signed", low: -end, high: end};
}
