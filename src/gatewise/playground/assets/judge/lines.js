/** A step as the lines in which somebody works it out: each with its equation, its value, and how far off that may be. */
import {sizeOf} from "../engine/arrays.js";
import {evaluate} from "../engine/evaluate.js";
import {symbolsOf} from "../engine/trees.js";

/** @typedef {{value: Float64Array, slack: Float64Array}} Spread */
/**
 * @typedef {object} Lines
 * @property {string[]} names in the order in which they follow from each other
 * @property {(name: string) => Tree} tree
 * @property {(name: string) => string[]} inputs the lines of the step that it is computed from
 * @property {(name: string) => string[]} uses all that it is computed from
 * @property {(name: string) => number[]} shape
 * @property {string[]} carried what the step takes from its neighbours
 * @property {(name: string) => boolean} backward
 * @property {(name: string) => Float64Array} right its value in the model
 * @property {(tree: Tree, values: LineNumbers, shape: number[]) => Float64Array | null} value
 * @property {(tree: Tree, values: LineNumbers, slack: LineNumbers, shape: number[]) => Spread | null} spread
 */

/**
 * The lines of a step of a cell.
 * @param {Model} model @param {StepRef} ref a number of it @param {boolean} backward whether those of the backward pass too
 * @returns {Lines}
 */
export function linesOf(model, ref, backward) {
  const {layer, direction, step} = ref;
  const place = {layer, direction};
  const {program} = model.cell(place);
  const back = backward ? model.order(place, true) : [];
  const names = [...model.order(place, false), ...back];
  const lines = new Set(names);
  /** @type {Map<string, Values>} */
  const known = new Map();

  /** @param {string} name @returns {Values} */
  function base(name) {
    const values = known.get(name) ?? {
      shape: model.shape({...place, name}),
      data: Float64Array.from(model.value({...place, name, step})),
    };
    known.set(name, values);
    return values;
  }

  /** @param {Tree} tree @param {LineNumbers} values @param {number[]} shape */
  function value(tree, values, shape) {
    /** @type {Record<string, Values>} */
    const symbols = {};
    try {
      for (const name of symbolsOf(tree)) {
        const data = values.get(name);
        symbols[name] = data === undefined ? base(name) : {shape: base(name).shape, data};
      }
      const result = evaluate(tree, symbols, {nonlinearities: program.nonlinearities});
      if (result.shape.length === 0 && shape.length > 0) return new Float64Array(sizeOf(shape)).fill(result.data[0]);
      return `${result.shape}` === `${shape}` ? result.data : null;
    } catch {
      return null; // it uses what there is not, or what has another size
    }
  }

  /** @param {Tree} tree @param {LineNumbers} values @param {LineNumbers} slack @param {number[]} shape @returns {Spread | null} */
  function spread(tree, values, slack, shape) {
    const result = value(tree, values, shape);
    if (result === null) return null;
    const off = new Float64Array(result.length);
    for (const name of symbolsOf(tree)) {
      const loose = slack.get(name);
      if (loose === undefined || loose.every(tolerance => tolerance === 0)) continue;
      const plain = values.get(name) ?? base(name).data;
      for (let n = 0; n < plain.length; n++) {
        if (!loose[n]) continue;
        const moved = plain.slice();
        moved[n] += loose[n];
        const other = value(tree, new Map(values).set(name, moved), shape);
        if (other !== null) for (let k = 0; k < off.length; k++) off[k] += Math.abs(other[k] - result[k]);
      }
    }
    return {value: result, slack: off};
  }

  return {
    names,
    tree: name => /** @type {Assignment} */ (model.equation({...place, name})).right,
    uses: name => model.inputs({...place, name}),
    inputs: name => model.inputs({...place, name}).filter(input => lines.has(input)),
    shape: name => base(name).shape,
    carried: [...program.carry, ...program.carry_backward].map(({into}) => into),
    backward: name => back.includes(name),
    right: name => base(name).data,
    value,
    spread,
  };
}

/** The place of an entry among row-by-row numbers. @param {number[]} shape @param {number[]} at */
export function placeOf(shape, at) {
  return shape.reduce((place, size, axis) => place * size + Math.min(at[axis] ?? 0, size - 1), 0);
}

/** Whether a line copies what others are, and computes nothing. @param {Tree} tree */
export function isCopied(tree) {
  return tree.node === "stack" || tree.node === "part" || tree.node === "symbol";
}
