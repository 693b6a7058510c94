/** The direct way of a gradient along the cell state: the factors that it meets from step to step. */
import {memoised} from "./memo.js";
import {flatFactors, termsOf} from "./terms.js";

/** The product of one gradient and forward quantities that goes to the step before, entry by entry.
 * @param {Model} model @param {Place} place */
function directProduct(model, place) {
  const cell = model.quantity({...place, name: model.roles(place).cell_state}).base;
  for (const {source} of model.cell(place).program.carry_backward) {
    const right = model.equation({...place, name: source})?.right;
    for (const term of right ? (right.node === "sum" ? right.terms : [right]) : []) {
      const names = flatFactors(term).flatMap(factor => (factor.node === "symbol" ? [factor.text] : []));
      const [gradient, ...others] = names.filter(name => model.isGradient({...place, name}));
      const factors = names.filter(name => !model.isGradient({...place, name}));
      const isOfCell = gradient !== undefined && model.quantity({...place, name: gradient}).base === cell;
      if (isOfCell && !others.length && factors.length) return {source, gradient, factors};
    }
  }
  return null;
}

/**
 * The gradient along the cell state of one unit, and what the direct way alone would leave of it; null where the
 * gradient is 0 everywhere, or the program has no such way. It is computed once for the same edits and loss.
 * @param {Model} model @param {Place} place @param {number} unit
 */
export function directPath(model, place, unit) {
  const of = [model.edits, model.loss, place.layer, place.direction, unit];
  return memoised(model, "path", of, () => pathOf(model, place, unit));
}

/** @param {Model} model @param {Place} place @param {number} unit */
function pathOf(model, {layer, direction}, unit) {
  const place = {layer, direction};
  const product = directProduct(model, place);
  if (!product) return null;
  const {gradient: name, factors, source} = product;
  const gradient = model.series({...place, name, at: [unit]});
  const steps = [...gradient.keys()];
  if (model.cell(place).direction !== "backward") steps.reverse();
  const from = steps.find(step => Number.isFinite(gradient[step]) && gradient[step] !== 0);
  if (from === undefined) return null;
  const direct = new Float64Array(gradient.length);
  let left = gradient[from];
  let to = from;
  for (const step of steps.slice(steps.indexOf(from))) {
    if (!Number.isFinite(gradient[step])) continue;
    direct[step] = left;
    to = step;
    const terms = termsOf(model, {...place, name: source, step, at: [unit]});
    const term = terms.find(({factors: all}) => all.some(factor => factor.ref?.name === name));
    const others = term?.factors.filter(factor => factor.ref?.name !== name) ?? [];
    left *= term ? others.reduce((share, factor) => share * factor.value, 1) : 0;
  }
  return {name, factors, gradient, direct, from, to};
}
