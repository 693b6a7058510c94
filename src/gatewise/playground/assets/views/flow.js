/** The flow through one unit in one step, forward or backward, from the terms and factors of its equations. */
import {termsOf} from "../engine/terms.js";
import {isHidden} from "./visibility.js";

/** @typedef {{amount: (name: string) => Amount, terms: (name: string) => Term[], roles: Roles}} Unit */

/** Whether a model has the parts that the stage shows. @param {Model} model @param {Place} place */
export function hasFlow(model, place) {
  const {input_gate: i, forget_gate: f, candidate: g, output_gate: o, cell_state: c} = model.roles(place);
  const names = model.order(place, false);
  return [i, f, g, o, c].every(name => names.includes(name));
}

/** A function that says whether one of some quantities of the chosen unit is hidden. @param {State} state
 * @returns {(...names: string[]) => boolean} */
export function askedOf(state) {
  const {layer, direction, step, unit} = state;
  if (state.answer === null) return () => false;
  return (...names) => names.some(name => isHidden(state, {layer, direction, name, step, at: [unit]}));
}

/** @param {Model} model @param {State} state @returns {Flow} */
export function flowOf(model, state) {
  const {layer, direction, step, unit} = state;
  const place = {layer, direction, step};
  const roles = model.roles(place);
  /** @type {Unit} */
  const parts = {
    amount: name => ({value: model.value({...place, name})[unit], tells: [name]}),
    terms: name => termsOf(model, {...place, name, at: [unit]}),
    roles,
  };
  /** @param {string} name */
  const seen = name => (state.backward && model.gradientName({...place, name})) || name;
  const {candidate, previous_cell_state: before, cell_state: cell, gated_output: output} = roles;
  const {input, previous_hidden_state: recurrent, input_gate, forget_gate, output_gate} = roles;
  const names = {input_gate, forget_gate, output_gate, input: seen(input), recurrent: seen(recurrent)};
  const ends = {candidate: seen(candidate), before: seen(before), output: seen(output)};
  if (state.backward) return {...backwardFlow(parts, ends), names: {...names, ...ends, cell: roles.cell_gradient}};
  return {...forwardFlow(parts), names: {...names, ...ends, cell}};
}

/** Whether a quantity is a factor of a term. @param {string} name */
function hasFactor(name) {
  return (/** @type {Term} */ term) => term.factors.some(factor => factor.ref?.name === name);
}

/** The factor of the output beside its gate. @param {Unit} unit */
function squashedFactor({terms, roles}) {
  return terms(roles.gated_output)[0]?.factors.find(factor => factor.ref?.name !== roles.output_gate);
}

/** The name of the function in a factor. @param {Factor | undefined} factor */
function functionName(factor) {
  return factor?.tree.node === "call" ? factor.tree.name : "";
}

/** @param {Unit} unit @returns {Omit<Flow, "names">} */
function forwardFlow(unit) {
  const {amount, terms, roles} = unit;
  const {candidate, previous_cell_state: before, cell_state: state, cell_sum: sum, gated_output: output} = roles;
  const keeps = terms(sum).find(hasFactor(before));
  const writes = terms(sum).find(term => term !== keeps && hasFactor(candidate)(term));
  const squashed = squashedFactor(unit);
  const keeping = {value: keeps?.value ?? null, tells: [roles.forget_gate, before, sum]};
  const writing = {value: writes?.value ?? null, tells: [roles.input_gate, candidate, sum]};
  const cell = amount(state);
  return {
    pipes: {
      before: amount(before),
      candidate: amount(candidate),
      kept: keeping,
      written: writing,
      into: cell,
      out: cell,
      squashed: {value: squashed?.value ?? null, tells: [state, output]},
      output: amount(output),
    },
    notes: {kept: keeping, written: writing},
    squash: functionName(squashed),
  };
}

/** The same pipes with gradients, which go through the same valves the other way. @param {Unit} unit
 * @param {{candidate: string, before: string, output: string}} gradients @returns {Omit<Flow, "names">} */
function backwardFlow(unit, {candidate, before, output}) {
  const {amount, terms, roles} = unit;
  const {cell_gradient: gradient, output_gate: gate} = roles;
  const arriving = terms(gradient).find(hasFactor(output));
  const letIn = arriving?.factors.filter(({ref}) => ref && [gate, output].includes(ref.name));
  const squashed = letIn?.reduce((product, factor) => product * factor.value, 1);
  const cell = amount(gradient);
  return {
    pipes: {
      output: amount(output),
      squashed: {value: squashed ?? null, tells: [gate, gradient, output]},
      out: {value: arriving?.value ?? null, tells: [gradient, output]},
      into: cell,
      kept: cell,
      written: cell,
      before: amount(before),
      candidate: amount(candidate),
    },
    notes: null,
    squash: functionName(squashedFactor(unit)),
  };
}
