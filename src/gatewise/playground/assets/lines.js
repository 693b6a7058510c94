/** A step as the lines in which somebody works it out: each with its equation, its value, and how far off that may be. */
import {evaluate} from "./evaluate.js";
import {symbolsOf} from "./trees.js";

/** @typedef {import("./store.js").Ref} Ref */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./arrays.js").Values} Values */
/** @typedef {import("./trees.js").Tree} Tree */
/** @typedef {import("./evaluate.js").Nonlinearity} Nonlinearity */
/** @typedef {Map<string, Float64Array>} Numbers  by quantity; of what is not in it, the model's */
/** @typedef {{value: Float64Array, slack: Float64Array}} Spread */
/**
 * @typedef {object} Lines
 * @property {string[]} names in the order in which they follow from each other
 * @property {(name: string) => Tree} tree
 * @property {(name: string) => string[]} inputs the lines of the step that it is computed from
 * @property {(name: string) => string[]} uses all that it is computed from
 * @property {(step: number) => Lines} at the same of another step
 * @property {Model} model
 * @property {Ref & {step: number}} ref
 * @property {(name: string) => number[]} shape
 * @property {(name: string) => boolean} backward
 * @property {(name: string) => Float64Array} right its value in the model
 * @property {(tree: Tree, own: Numbers, shape: number[]) => Float64Array | null} value
 * @property {(tree: Tree, own: Numbers, slack: Numbers, shape: number[]) => Spread | null} spread
 */

const PART = /^(.+)\[(\d+):(\d+)\]$/;  // columns of a matrix

/**
 * The lines of a step of a cell.
 * @param {Model} model @param {Ref} ref a number of it @param {boolean} backward whether those of the backward pass too
 * @param {Nonlinearity[]} [more] what trees may call beside what the cell does
 * @returns {Lines}
 */
export function linesOf(model, ref, backward, more = []) {
  const {layer, direction, step} = ref;
  const {program} = model.layers[layer].cells[direction];
  const nonlinearities = [...program.nonlinearities, ...more];
  const back = backward ? model.order(layer, direction, true) : [];
  const names = [...model.order(layer, direction, false), ...back];
  const lines = new Set(names);
  /** @type {Map<string, Values>} */
  const known = new Map();

  /** @param {string} name @returns {Values} */
  function base(name) {
    const found = known.get(name) ?? read(name);
    known.set(name, found);
    return found;
  }

  /** @param {string} name @returns {Values} */
  function read(name) {
    const part = PART.exec(name);
    if (part) return columnsOf(base(part[1]), Number(part[2]), Number(part[3]));
    return {shape: model.shape(layer, direction, name), data: Float64Array.from(model.value(layer, direction, name, step))};
  }

  /** @param {Tree} tree @param {Numbers} own @param {number[]} shape */
  function value(tree, own, shape) {
    /** @type {Record<string, Values>} */
    const values = {};
    try {
      for (const name of symbolsOf(tree)) {
        const data = own.get(name);
        values[name] = data === undefined ? base(name) : {shape: shapeOf(name, data), data};
      }
      const found = evaluate(tree, values, {nonlinearities});
      if (found.shape.length === 0 && shape.length > 0) return new Float64Array(sizeOfShape(shape)).fill(found.data[0]);
      return `${found.shape}` === `${shape}` ? found.data : null;
    } catch {
      return null;  // it uses what there is not, or what has another size
    }
  }

  /** The shape of a number of a line, or of one that is put in for an edit. @param {string} name @param {Float64Array} data */
  function shapeOf(name, data) {
    return lines.has(name) || known.has(name) ? base(name).shape : [data.length];
  }

  /** @param {Tree} tree @param {Numbers} own @param {Numbers} slack @param {number[]} shape @returns {Spread | null} */
  function spread(tree, own, slack, shape) {
    const found = value(tree, own, shape);
    if (found === null) return null;
    const off = new Float64Array(found.length);
    for (const name of symbolsOf(tree)) {
      const loose = slack.get(name);
      if (loose === undefined || loose.every((one) => one === 0)) continue;
      const plain = own.get(name) ?? base(name).data;
      for (let n = 0; n < plain.length; n++) {
        if (!loose[n]) continue;
        const moved = plain.slice();
        moved[n] += loose[n];
        const other = value(tree, new Map(own).set(name, moved), shape);
        if (other !== null) for (let k = 0; k < off.length; k++) off[k] += Math.abs(other[k] - found[k]);
      }
    }
    return {value: found, slack: off};
  }

  return {
    names,
    tree: (name) => /** @type {any} */ (model.equation(layer, direction, name)).right,
    uses: (name) => model.inputs(layer, direction, name),
    at: (other) => linesOf(model, {...ref, step: other}, backward, more),
    model,
    ref: {...ref, step: step ?? 0},
    inputs: (name) => model.inputs(layer, direction, name).filter((one) => lines.has(one)),
    shape: (name) => base(name).shape,
    backward: (name) => back.includes(name),
    right: (name) => base(name).data,
    value,
    spread,
  };
}

/** @param {number[]} shape */
function sizeOfShape(shape) {
  return shape.reduce((product, one) => product * one, 1);
}

/** @param {Values} matrix @param {number} start @param {number} stop @returns {Values} */
function columnsOf({shape: [rows, columns], data}, start, stop) {
  const found = new Float64Array(rows * (stop - start));
  for (let n = 0; n < found.length; n++) {
    const row = Math.floor(n / (stop - start));
    found[n] = data[row * columns + start + (n % (stop - start))];
  }
  return {shape: [rows, stop - start], data: found};
}

/** Where in its row-by-row numbers an entry stands. @param {number[]} shape @param {number[]} at */
export function placeOf(shape, at) {
  return shape.reduce((place, size, axis) => place * size + Math.min(at[axis] ?? 0, size - 1), 0);
}

/** Whether a line copies what others are, and computes nothing. @param {Tree} tree */
export function isCopied(tree) {
  return tree.node === "stack" || tree.node === "part" || tree.node === "symbol";
}
