/** The runs that a network is made of: of its cells, and of the merging of directions. */

import {Binding} from "./binding.js";
import {ProgramRun} from "./program_run.js";
import {OUTPUTS} from "./wiring.js";

/** The run of a cell. @param {WiredCell} cell @param {Wiring} wiring @param {{size: number, data: Float64Array}} x */
export function cellRun(cell, {steps, valid, isLean}, x) {
  const {program, reverse, sizes} = cell;
  const masks = Object.entries(cell.rows).map(([name, {shape, data}]) => [name, {size: shape[1], data}]);
  const rows = Object.fromEntries(masks),
    carried = [...program.carry, ...program.carry_backward];
  const {gradients, roles} = program.quantities;
  const lean = isLean ? new Set([gradients.get(roles.input) ?? "", ...carried.map(({source}) => source)]) : null;
  const setting = {
    program,
    steps,
    reverse,
    valid,
    constants: copies(cell.constants),
    rows: {...rows, [roles.input]: x},
    lean,
  };
  const run = new ProgramRun({...setting, sizes: {features: x.size, ...sizes}});
  const first = run.order[0];
  for (const [name, data] of Object.entries(cell.state)) run.bound.slot(name).data.set(data, first * data.length);
  return run;
}

/** The run of the merging of a layer. @param {Program} program @param {number[]} widths @param {number} steps */
export function mergeRun(program, widths, steps) {
  const {roles} = program.quantities;
  const names = OUTPUTS.map(role => roles[role]);
  const outputs = widths.map((size, place) => [names[place], {size, data: new Float64Array(steps * size)}]);
  const sizes = {"one direction": widths[0], merged: 0},
    rows = Object.fromEntries(outputs);
  const setting = {program, steps, reverse: false, valid: null, constants: {}, rows, sizes};
  const {size} = new Binding({...setting, program: {...program, backward: []}}).slot(roles.output);
  return new ProgramRun({...setting, sizes: {...setting.sizes, merged: size}});
}

/**
 * Arrays of a run's own, since edits change them.
 * @param {Record<string, Values>} constants @returns {Record<string, Values>}
 */
export function copies(constants) {
  const entries = Object.entries(constants).map(([name, {shape, data}]) => [name, {shape, data: data.slice()}]);
  return Object.fromEntries(entries);
}

/** At which steps a direction puts something out. @param {Wiring} wiring @param {boolean} reverse */
export function shownSteps({valid, steps, repeats}, reverse) {
  if (valid === null) return new Uint8Array(steps).fill(1);
  const visible = valid.slice();
  if (!repeats) return visible;
  let any = 0;
  for (let n = 0; n < steps; n++) {
    const step = reverse ? steps - 1 - n : n;
    any = any || valid[step];
    visible[step] = any;
  }
  return visible;
}

/** The hidden state that a run ends in. @param {ProgramRun} run */
export function lastHidden(run) {
  const slot = run.slotOf("hidden_state");
  return /** @type {Float64Array} */ (run.bound.carry.find(({source}) => source === slot)?.last);
}
