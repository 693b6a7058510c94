/** Which entries of a vector are shown in a step: those that weigh most for the chosen unit. */
import {givenOf, isHead, openedRef, refKey} from "./detail.js";
import {litBy} from "./products.js";
import {stackedIn} from "../engine/terms.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("../engine/model.js").Model} Model */

const MOST_ENTRIES = 12;

/** The products of matrices and vectors in a tree: [matrix, vector], by name. @param {any} tree @returns {[string, string][]} */
function matrixProducts(tree) {
  if (!tree || typeof tree !== "object") return [];
  if (Array.isArray(tree)) return tree.flatMap(matrixProducts);
  if (tree.node === "matmul" && tree.left.node === "symbol" && tree.right.node === "symbol")
    return [[tree.left.text, tree.right.text]];
  return Object.values(tree).flatMap(matrixProducts);
}

/** What each entry of each given vector contributes most to a sum of the chosen unit, in size: name, index, size.
 * @param {Page} page @param {number} layer @param {number} direction @returns {Map<string, Float64Array>} */
export function contributionsTo(page, layer, direction) {
  const {
    model,
    store: {
      state: {unit, step},
    },
  } = page;
  /** @type {Map<string, Float64Array>} */
  const found = new Map();
  for (const name of model.order(layer, direction, false)) {
    for (const [matrix, vector] of matrixProducts(model.equation(layer, direction, name)?.right)) {
      const [rows, columns] = model.shape(layer, direction, matrix);
      const weights = model.value(layer, direction, matrix, null);
      const values = model.value(layer, direction, vector, step);
      const row = isHead(model, layer) || unit >= rows ? 0 : unit;
      const stacked = stackedIn(model, layer, direction, vector);
      let k = 0;
      for (const {name: source, size} of stacked.length ? stacked : [{name: vector, size: columns}]) {
        const sizes = found.get(source) ?? new Float64Array(size);
        found.set(source, sizes);
        for (let own = 0; own < size; own += 1, k += 1) {
          sizes[own] = Math.max(sizes[own], Math.abs(weights[row * columns + k] * values[k]));
        }
      }
    }
  }
  return found;
}

/** The keys of numbers that are shown however small they are: the opened one, and those of an opened product.
 * @param {Page} page */
export function keysToShow(page) {
  const {state} = page.store;
  const opened = openedRef(page.model, state);
  return new Set([
    ...litBy(page, state).keys(),
    ...(opened && (state.level === "number" || state.level === "product") ? [refKey(opened)] : []),
  ]);
}

/** Put the sizes of a vector's gradient in place of what its entries contribute.
 * @param {Page} page @param {number} layer @param {number} direction @param {string} name @param {Float64Array} sizes */
function rankByGradient(
  {
    model,
    store: {
      state: {step},
    },
  },
  layer,
  direction,
  name,
  sizes,
) {
  const gradient = `d${name}`;
  if (!model.order(layer, direction, true).includes(gradient)) return;
  model.value(layer, direction, gradient, step).forEach((value, index) => {
    sizes[index] = Math.abs(value);
  });
}

/** The entries of vectors that are shown, at most twelve of all that is given; the rest open.
 * @param {Page} page @param {number} layer @param {number} direction @param {Set<string>} opened */
export function entriesShown(page, layer, direction, opened) {
  const {
    model,
    store: {state},
  } = page;
  const sizes = contributionsTo(page, layer, direction);
  if (state.backward) for (const [name, values] of sizes) rankByGradient(page, layer, direction, name, values);
  const ranked = [...sizes]
    .filter(([name]) => givenOf(model, layer, direction, name))
    .flatMap(([name, values]) => Array.from(values, (size, index) => ({name, index, size})))
    .sort((a, b) => b.size - a.size);
  const few = ranked.length <= MOST_ENTRIES + 6;
  const asked = keysToShow(page);
  const here = (/** @type {string} */ name, /** @type {number} */ index) =>
    asked.has(refKey({layer, direction, name: state.backward ? `d${name}` : name, step: state.step, at: [index]}));
  const kept = new Set((few ? ranked : ranked.slice(0, MOST_ENTRIES)).map(({name, index}) => `${name} ${index}`));
  /** @param {string} name @param {string[]} axes */
  return (name, axes) => {
    if (!axes.length) return {entries: [[]], rest: 0};
    const isGiven = givenOf(model, layer, direction, name) !== undefined;
    const spread = sizes.has(name) && isGiven;
    if (axes[0] === "units" && !spread) return {entries: [[state.unit]], rest: 0};
    const [count] = model.shape(layer, direction, name);
    const all = Array.from({length: count}, (_, index) => index);
    const few = spread ? null : largest(page, layer, direction, name, all);
    const limit = all.filter(index => (few ? few.includes(index) : kept.has(`${name} ${index}`)) || here(name, index));
    const shown = opened.has(name) ? all : limit;
    return {entries: shown.map(index => [index]), rest: count - shown.length};
  };
}

/** @param {Page} page @param {number} layer @param {number} direction @param {string} name @param {number[]} all */
function largest(page, layer, direction, name, all) {
  if (all.length <= MOST_ENTRIES) return all;
  const values = page.model.value(layer, direction, name, page.store.state.step);
  const kept = [...all].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, MOST_ENTRIES);
  return kept.sort((a, b) => a - b);
}
