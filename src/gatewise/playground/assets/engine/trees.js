/** Formulas as trees: what they are made of, and how large they may be. */

const DEEPEST = 200;
const MOST_NODES = 20000;

/** The direct parts of a tree. @param {Tree} tree @returns {Tree[]} */
export function partsOf(tree) {
  switch (tree.node) {
    case "symbol":
    case "number":
    case "row":
      return [];
    case "sum":
      return tree.terms;
    case "product":
      return tree.factors;
    case "negative":
      return [tree.term];
    case "matmul":
    case "outer":
    case "holds":
      return [tree.left, tree.right];
    case "transpose":
      return [tree.matrix];
    case "part":
      return [tree.vector];
    case "quotient":
      return [tree.over, tree.under];
    case "power":
      return [tree.base, tree.exponent];
    case "call":
      return tree.arguments;
    case "slope":
      return [tree.body];
    case "stack":
      return tree.parts;
    default:
      return unknown(tree);
  }
}

/** Refuse a node: types say that none comes here, data may. @param {never} tree @returns {never} */
export function unknown(tree) {
  throw new Error(`a formula has a node that this page does not know: ${JSON.stringify(tree).slice(0, 80)}`);
}

/**
 * The names of a tree's symbols, each once, from the left. Refuses trees that are too deep or too large.
 * @param {Tree} tree @returns {string[]}
 */
export function symbolsOf(tree) {
  const names = new Set();
  let nodes = 0;
  /** @param {Tree} part @param {number} depth */
  const visit = (part, depth) => {
    if (depth > DEEPEST) throw new Error(`a formula is more than ${DEEPEST} levels deep`);
    if (++nodes > MOST_NODES) throw new Error(`a formula has more than ${MOST_NODES} parts`);
    if (part.node === "symbol") names.add(part.text);
    for (const inner of partsOf(part)) visit(inner, depth + 1);
  };
  visit(tree, 1);
  return [...names];
}
