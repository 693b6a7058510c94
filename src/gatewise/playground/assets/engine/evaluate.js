/** The one evaluator of formulas: a tree becomes a closure that writes its value into a buffer. */

import {decode} from "./arrays.js";
import {OVER_A_VECTOR, RELATIONS, UNARY, add, applyTo, multiply, subtract} from "./functions.js";
import {
  binary,
  folded,
  numberSlot,
  operation,
  outer,
  part,
  product,
  rearranged,
  sizeNamed,
  slotOf,
  stacked,
} from "./operations.js";
import {symbolsOf, unknown} from "./trees.js";

/**
 * The value of one formula, given those of its symbols.
 * @param {Tree} tree @param {Record<string, Values | number>} values
 * @param {{nonlinearities?: Nonlinearity[], sizes?: Record<string, number>}} [known] @returns {Values}
 */
export function evaluate(tree, values, known = {}) {
  /** @type {Scope} */
  const scope = {
    slot: name => {
      if (!Object.hasOwn(values, name)) throw new Error(`nothing is known of ${name}`);
      const value = values[name];
      return typeof value === "number" ? numberSlot(value) : slotOf(value.shape, value.data);
    },
    varies: () => true,
    once: [],
    sizes: known.sizes ?? {},
    blocks: null,
    definition: definitions(known.nonlinearities ?? []),
  };
  const {slot, run} = compile(tree, scope);
  for (const run of scope.once) run();
  run?.();
  return {shape: slot.shape, data: slot.data.slice(slot.offset, slot.offset + slot.size)};
}

/**
 * A function that finds the formula of a nonlinearity, of the symbol a; sigmoid is called σ.
 * @param {Nonlinearity[]} nonlinearities @returns {(call: Activation) => Tree | null}
 */
export function definitions(nonlinearities) {
  return ({name, alpha, beta}) =>
    nonlinearities.find(known => known.name === name && known.alpha === alpha && known.beta === beta)?.definition ??
    null;
}

/**
 * Compile a tree: `run` writes its value to where `slot` says at that time.
 * @param {Tree} tree @param {Scope} scope @returns {Op}
 */
export function compile(tree, scope) {
  symbolsOf(tree); // refuses what is too large
  return compiled(tree, scope);
}

/** @param {Tree} tree @param {Scope} scope @returns {Op} */
function compiled(tree, scope) {
  /** @param {Tree} inner */
  const of = inner => compiled(inner, scope);
  switch (tree.node) {
    case "symbol":
      return {slot: scope.slot(tree.text), run: null, varies: scope.varies(tree.text)};
    case "number":
      return {slot: numberSlot(decode(tree.value).data[0]), run: null, varies: false};
    case "row":
      return {slot: slotOf([tree.values.length], decode(tree.values).data), run: null, varies: false};
    case "slope":
      return compiled(tree.body, scope);
    case "product":
      return folded(
        scope,
        tree.factors.map(of),
        tree.factors.map(() => multiply),
      );
    case "sum": {
      const joins = tree.terms.map((term, n) => (n > 0 && term.node === "negative" ? subtract : add));
      const parts = tree.terms.map((term, n) => of(n > 0 && term.node === "negative" ? term.term : term));
      return folded(scope, parts, joins);
    }
    case "negative": {
      const term = of(tree.term),
        out = slotOf(term.slot.shape);
      return operation(scope, [term], out, () => applyTo("negative", out, term.slot));
    }
    case "quotient":
      return binary(scope, of(tree.over), of(tree.under), (a, b) => a / b);
    case "power": {
      const base = of(tree.base),
        squared = tree.exponent.node === "number" && tree.exponent.value === 2;
      return squared ? binary(scope, base, base, multiply) : binary(scope, base, of(tree.exponent), Math.pow);
    }
    case "holds": {
      const {relation} = tree,
        holds = RELATIONS[relation];
      if (!Object.hasOwn(RELATIONS, relation)) throw new Error(`a formula has an unknown relation: ${relation}`);
      return binary(scope, of(tree.left), of(tree.right), (a, b) => (holds(a, b) ? 1 : 0));
    }
    case "call":
      return called(tree, scope);
    case "matmul":
      return multiplied(tree.left, tree.right, scope);
    case "transpose": {
      const matrix = of(tree.matrix),
        [rows, columns] = matrix.slot.shape;
      return rearranged(scope, matrix, [columns, rows], n => (n % rows) * columns + Math.floor(n / rows));
    }
    case "outer":
      return outer(scope, of(tree.left), of(tree.right));
    case "part":
      return part(scope, of(tree.vector), sizeNamed(scope, tree.start), sizeNamed(scope, tree.stop));
    case "stack":
      return stacked(scope, tree.parts.map(of));
    default:
      return unknown(tree);
  }
}

/** @param {Tree} left @param {Tree} right @param {Scope} scope */
function multiplied(left, right, scope) {
  const vector = compiled(right, scope);
  if (left.node === "transpose") return product(scope, compiled(left.matrix, scope), vector, true);
  const matrix = compiled(left, scope);
  if (matrix.slot.shape.length === 1) return product(scope, vector, matrix, true); // a vector times a matrix
  const [rows, columns] = matrix.slot.shape;
  return product(scope, matrix, vector, false, scope.blocks?.(left, right, rows, columns));
}

/** @param {Extract<Tree, {node: "call"}>} tree @param {Scope} scope @returns {Op} */
function called(tree, scope) {
  const {name} = tree,
    parts = tree.arguments.map(inner => compiled(inner, scope)),
    [first, second, third] = parts;
  if (Object.hasOwn(UNARY, name)) {
    const out = slotOf(first.slot.shape);
    return operation(scope, parts, out, () => applyTo(name, out, first.slot));
  }
  if (Object.hasOwn(OVER_A_VECTOR, name)) {
    const over = OVER_A_VECTOR[name],
      out = slotOf([]);
    return operation(scope, parts, out, () => {
      out.data[out.offset] = over(first.slot);
    });
  }
  if (tree.activation !== null) return defined({...tree.activation, name}, first, scope);
  const {shape} = first.slot,
    [rows, columns] = shape;
  switch (name) {
    case "max":
      return binary(scope, first, second, Math.max);
    case "min":
      return binary(scope, first, second, Math.min);
    case "clip":
      return binary(scope, binary(scope, first, second, Math.max), third, Math.min);
    case "by column":
      return rearranged(scope, first, shape, n => (n % columns) * rows + Math.floor(n / columns));
    case "by row":
      return rearranged(scope, first, shape, n => (n % rows) * columns + Math.floor(n / rows));
    default:
      throw new Error(`a formula calls a function that this page does not know: ${name}`);
  }
}

/**
 * A nonlinearity that is no primitive function: its definition, compiled.
 * @param {Activation} activation @param {Op} argument @param {Scope} scope @returns {Op}
 */
function defined(activation, argument, scope) {
  const tree = scope.definition(activation);
  if (tree === null) throw new Error(`a formula calls a nonlinearity that is not defined: ${activation.name}`);
  const body = compile(tree, {...scope, slot: () => argument.slot, varies: () => argument.varies});
  if (argument.run === null) return body;
  const out = body.slot;
  return operation(scope, [argument, body], out, () => {});
}
