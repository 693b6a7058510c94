/** The direct way of a gradient along the cell state: what it is multiplied with from step to step, from the program. */
import {lastMade} from "./memo.js";
import {isGradient} from "../views/detail.js";
import {flatFactors, termsOf} from "./terms.js";

/** @typedef {import("./model.js").Model} Model */
/**
 * @typedef {object} Path
 * @property {string} name the gradient along the way: dc
 * @property {string[]} factors what it is multiplied with: f
 * @property {Float64Array} gradient at each step
 * @property {Float64Array} direct what the product alone leaves, from the step at which the gradient begins
 * @property {number} from that step
 * @property {number} to the last step that it reaches
 */

/** @type {WeakMap<Model, {of: unknown[], made: Path | null}>} */
const pathsKept = new WeakMap();

/** The terms of a sum. @param {any} tree @returns {any[]} */
function sumTerms(tree) {
  return tree.node === "sum" ? tree.terms : [tree];
}

/** The product of a gradient and forward quantities that goes to the step before, entry by entry.
 * @param {Model} model @param {number} layer @param {number} direction */
function directProduct(model, layer, direction) {
  const {program} = model.layers[layer].cells[direction];
  for (const {source} of program.carry_backward) {
    const equation = model.equation(layer, direction, source);
    for (const one of equation ? sumTerms(equation.right) : []) {
      const names = flatFactors(one).map((/** @type {any} */ factor) =>
        factor.node === "symbol" ? factor.text : null,
      );
      const [gradient, ...others] = names.filter((/** @type {string | null} */ name) => name && isGradient(name));
      const factors = names.filter((/** @type {string | null} */ name) => name && !isGradient(name));
      if (gradient && !others.length && factors.length && gradient.startsWith("dc")) {
        return {source, gradient: /** @type {string} */ (gradient), factors: /** @type {string[]} */ (factors)};
      }
    }
  }
  return null;
}

/**
 * The gradient along the cell state of one unit, and what the direct way alone would leave of it: kept as long as
 * edits and loss are the same.
 * @param {Model} model @param {number} layer @param {number} direction @param {number} unit
 * @returns {Path | null} null where the gradient is nothing everywhere, or the program has no such way
 */
export function directPath(model, layer, direction, unit) {
  const of = [model.edits, model.loss, layer, direction, unit];
  return lastMade(pathsKept, model, of, () => pathOf(model, layer, direction, unit));
}

/** @param {Model} model @param {number} layer @param {number} direction @param {number} unit @returns {Path | null} */
function pathOf(model, layer, direction, unit) {
  const found = directProduct(model, layer, direction);
  if (!found) return null;
  const gradient = model.series(layer, direction, found.gradient, unit);
  const steps = [...gradient.keys()];
  if (model.layers[layer].cells[direction].direction !== "backward") steps.reverse();
  const from = steps.find(step => Number.isFinite(gradient[step]) && gradient[step] !== 0);
  if (from === undefined) return null;
  const direct = new Float64Array(gradient.length);
  let left = gradient[from];
  let to = from;
  for (const step of steps.slice(steps.indexOf(from))) {
    if (!Number.isFinite(gradient[step])) continue;
    direct[step] = left;
    to = step;
    const ref = {layer, direction, name: found.source, step, at: [unit]};
    const term = termsOf(model, ref).find(({factors}) => factors.some(one => one.ref?.name === found.gradient));
    left *= term
      ? term.factors.reduce((product, one) => (one.ref?.name === found.gradient ? product : product * one.value), 1)
      : 0;
  }
  return {name: found.gradient, factors: found.factors, gradient, direct, from, to};
}
