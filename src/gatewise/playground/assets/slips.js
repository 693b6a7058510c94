/** Slips in one entry: a product that is left out or has the wrong sign, and how a number was written. */
import {editsOf} from "./mistakes.js";
import {digitsExchanged} from "./numerals.js";
import {placeOf} from "./lines.js";

/** @typedef {import("./causes.js").Effect} Effect */
/** @typedef {import("./causes.js").Wrong} Wrong */
/** @typedef {import("./mistakes.js").Edited} Edited */
/** @typedef {import("./mistakes.js").Tier} Tier */
/** @typedef {import("./trees.js").Tree} Tree */

/** Every slip in one entry of the lines that lead to a wrong number. @param {Wrong} wrong @returns {Generator<Effect>} */
export function* slipsOf(wrong) {
  const {lines, cone, at, called} = wrong;
  for (const [near, name] of cone.entries()) {
    const shape = lines.shape(name);
    if (!shape.length || shape[0] !== lines.shape(wrong.name)[0] || shape.length > at.length) continue;
    const own = editsOf(wrong.mistakes, name, "one entry", (one) => lines.shape(one).length === 2);
    const any = editsOf(wrong.mistakes, shape.length > 1 ? "matrix" : "vector", "one entry", () => false);
    for (const edit of [...own, ...any]) {
      for (const [said, tree] of madeIn(wrong, name, shape, edit)) {
        const cause = {kind: edit.kind, tier: edit.tier, lines: [name], gates: [],
          words: said.replace("{entry}", called(name, 0, at[0])).replace("{column}", called(name, 1, at[1] ?? 0))};
        yield {changes: new Map([[name, tree]]), cause, near, key: ""};
      }
    }
  }
  yield* exchanged(wrong);
}

/** An edit of one entry, for each other entry and each column that it may be made with, with its words.
 * @param {Wrong} wrong @param {string} name @param {number[]} shape @param {Edited} edit
 * @returns {Generator<[string, Tree]>} */
function* madeIn({lines, at, called}, name, shape, edit) {
  const here = shape.length > 1 ? outerRow(shape, at) : oneRow(shape[0], at[0]);
  /** @type {Record<string, Tree>} */
  const marks = {own: lines.tree(name), here, rest: {node: "row", values: flipped(shape[0], at[0])}};
  const tree = edit.tree();
  const matrix = edit.words.includes("{column}") && shape.length === 1 ? matrixIn(tree) : null;
  if (matrix !== null) {
    const [rows, columns] = lines.shape(matrix.name), count = matrix.turned ? rows : columns;
    for (let n = 0; n < count; n++) {
      const said = edit.words.replace("{column}", called(matrix.name, matrix.turned ? 0 : 1, n));
      yield [said, put(tree, {...marks, there: oneRow(count, n)})];
    }
  } else if (edit.words.includes("{other}")) {
    for (let n = 0; n < shape[0]; n++) {
      if (n !== at[0]) yield [edit.words.replace("{other}", called(name, 0, n)), put(tree, {...marks, that: oneRow(shape[0], n)})];
    }
  } else {
    yield [edit.words, put(tree, marks)];
  }
}

/** Two digits exchanged as the number was written. @param {Wrong} wrong @returns {Generator<Effect>} */
function* exchanged({name, typed, own, at, lines, cone, margin}) {
  const shape = lines.shape(name), place = placeOf(shape, at);
  const expected = /** @type {Float64Array} */ (own.get(name))[place];
  for (const other of digitsExchanged(typed.value, typed.tolerance, margin)) {
    const gives = expected + typed.value - other;
    const tree = /** @type {Tree} */ ({node: "row", values: rowNumbers(shape[0], at[0], gives)});
    if (shape.length > 1) continue;
    const cause = {kind: "digits exchanged", tier: /** @type {Tier} */ ("one entry"), words: "", lines: [name], gates: []};
    yield {changes: new Map([[name, tree]]), cause, near: cone.length, key: ""};
  }
}

/** The matrix whose product with `there` an edit leaves out. @param {Tree} tree
 * @returns {{name: string, turned: boolean} | null} */
function matrixIn(tree) {
  if (tree.node === "matmul" && JSON.stringify(tree.right).includes('"there"')) {
    const turned = tree.left.node === "transpose", left = tree.left.node === "transpose" ? tree.left.matrix : tree.left;
    return left.node === "symbol" ? {name: left.text, turned} : null;
  }
  for (const part of tree.node === "sum" ? tree.terms : tree.node === "product" ? tree.factors : tree.node === "negative" ? [tree.term] : []) {
    const found = matrixIn(part);
    if (found) return found;
  }
  return null;
}

/** A tree with others in the place of some symbols. @param {Tree} tree @param {Record<string, Tree>} marks @returns {Tree} */
function put(tree, marks) {
  if (tree.node === "symbol") return Object.hasOwn(marks, tree.text) ? marks[tree.text] : tree;
  return /** @type {Tree} */ (Object.fromEntries(Object.entries(tree).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map((one) => (one?.node ? put(one, marks) : one)) : value?.node ? put(value, marks) : value,
  ])));
}

/** @param {number} size @param {number} place @returns {Tree} */
function oneRow(size, place) {
  return {node: "row", values: rowNumbers(size, place, 1)};
}

/** @param {number} size @param {number} place @param {number} value */
function rowNumbers(size, place, value) {
  return Array.from({length: size}, (_, n) => (n === place ? value : 0));
}

/** @param {number} size @param {number} place */
function flipped(size, place) {
  return rowNumbers(size, place, 1).map((one) => 1 - one);
}

/** @param {number[]} shape @param {number[]} at @returns {Tree} */
function outerRow([rows, columns], at) {
  return {node: "outer", left: oneRow(rows, at[0]), right: oneRow(columns, at[1])};
}
