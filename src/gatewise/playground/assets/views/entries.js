/** The entries of a vector that a step shows: those that weigh most for the chosen unit. */
import {stackedIn} from "../engine/terms.js";
import {partsOf} from "../engine/trees.js";
import {openedRef, refKey} from "./detail.js";
import {litBy} from "./products.js";

const MOST_ENTRIES = 12;

/** The products of matrices and vectors in a tree: [matrix, vector], by name. @param {Tree} tree
 * @returns {[string, string][]} */
function matrixProducts(tree) {
  if (tree.node === "matmul" && tree.left.node === "symbol" && tree.right.node === "symbol")
    return [[tree.left.text, tree.right.text]];
  return partsOf(tree).flatMap(matrixProducts);
}

/** The largest contribution of each entry of each vector to a sum of the chosen unit. @param {Page} page
 * @param {Place} place @returns {Map<string, Float64Array>} */
export function contributionsTo({model, store}, {layer, direction}) {
  const place = {layer, direction};
  const {unit, step} = store.state;
  /** @type {Map<string, Float64Array>} */
  const contributions = new Map();
  for (const name of model.order(place, false)) {
    const right = model.equation({...place, name})?.right;
    for (const [matrix, vector] of right ? matrixProducts(right) : []) {
      const [rows, columns] = model.shape({...place, name: matrix});
      const weights = model.value({...place, name: matrix, step: null});
      const values = model.value({...place, name: vector, step});
      const row = model.isHead(place) || unit >= rows ? 0 : unit;
      const stacked = stackedIn(model, {...place, name: vector});
      let k = 0;
      for (const {name: source, size} of stacked.length ? stacked : [{name: vector, size: columns}]) {
        const sizes = contributions.get(source) ?? new Float64Array(size);
        contributions.set(source, sizes);
        for (let entry = 0; entry < size; entry += 1, k += 1) {
          sizes[entry] = Math.max(sizes[entry], Math.abs(weights[row * columns + k] * values[k]));
        }
      }
    }
  }
  return contributions;
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

/** The sizes of the entries of vectors: what they contribute, or backward, their gradients. @param {Page} page
 * @param {Place} place */
function sizesOf(page, place) {
  const {model, store} = page;
  const {backward, step} = store.state;
  const sizes = contributionsTo(page, place);
  for (const name of backward ? sizes.keys() : []) {
    const gradient = model.gradientName({...place, name});
    if (gradient === null || !model.order(place, true).includes(gradient)) continue;
    sizes.set(name, model.value({...place, name: gradient, step}).map(Math.abs));
  }
  return sizes;
}

/** The entries of vectors that are shown, at most twelve of all that is given; the rest open.
 * @param {Page} page @param {Place} place @param {Set<string>} opened
 * @returns {(name: string, axes: string[]) => {entries: number[][], rest: number}} */
export function entriesShown(page, {layer, direction}, opened) {
  const place = {layer, direction};
  const {model, store} = page;
  const {backward, step, unit} = store.state;
  const sizes = sizesOf(page, place);
  const ranked = [...sizes]
    .filter(([name]) => model.given({...place, name}))
    .flatMap(([name, values]) => Array.from(values, (size, index) => ({name, index, size})))
    .sort((a, b) => b.size - a.size);
  const first = ranked.length <= MOST_ENTRIES + 6 ? ranked : ranked.slice(0, MOST_ENTRIES);
  const weighty = new Set(first.map(({name, index}) => `${name} ${index}`));
  const keys = keysToShow(page);
  /** @param {string} name @param {number} index */
  const isKey = (name, index) => {
    const drawn = backward ? model.gradientName({...place, name}) : name;
    return drawn !== null && keys.has(refKey({...place, name: drawn, step, at: [index]}));
  };
  return (name, axes) => {
    if (!axes.length) return {entries: [[]], rest: 0};
    const isRanked = sizes.has(name) && model.given({...place, name}) !== undefined;
    if (axes[0] === "units" && !isRanked) return {entries: [[unit]], rest: 0};
    const [count] = model.shape({...place, name});
    const all = Array.from({length: count}, (_, index) => index);
    const few = isRanked ? null : largestEntries(model.value({...place, name, step}));
    const chosen = all.filter(index => (few ? few.has(index) : weighty.has(`${name} ${index}`)) || isKey(name, index));
    const visible = opened.has(name) ? all : chosen;
    return {entries: visible.map(index => [index]), rest: count - visible.length};
  };
}

/** @param {Float64Array} values */
function largestEntries(values) {
  const order = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]));
  return new Set(order.slice(0, MOST_ENTRIES));
}
