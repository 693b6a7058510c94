/** The runs that a network is made of: of its cells, and of the merging of directions. */

import {Binding} from "./binding.js";
import {Run} from "./program_run.js";
import {OUTPUTS} from "./wiring.js";

/** @typedef {import("./arrays.js").Values} Values */
/** @typedef {import("./wiring.js").Wiring} Wiring */
/** @typedef {import("./wiring.js").WiredCell} WiredCell */
/** @typedef {import("./binding.js").Program} Program */

/** The run of a cell. @param {WiredCell} cell @param {Wiring} wiring @param {{size: number, data: Float64Array}} x */
export function cellRun(cell, {steps, valid, isLean}, x) {
  const {program, reverse, sizes} = cell;
  const masks = Object.entries(cell.rows).map(([name, {shape, data}]) => [name, {size: shape[1], data}]);
  const rows = Object.fromEntries(masks),
    carried = [...program.carry, ...program.carry_backward];
  const lean = isLean ? new Set(["dx", ...carried.map(({source}) => source)]) : null;
  const setting = {program, steps, reverse, valid, constants: copies(cell.constants), rows: {...rows, x}, lean};
  const run = new Run({...setting, sizes: {features: x.size, ...sizes}});
  const first = run.order[0];
  for (const [name, data] of Object.entries(cell.state)) run.bound.slot(name).data.set(data, first * data.length);
  return run;
}

/** The run of the merging of a layer. @param {Program} program @param {number[]} widths @param {number} steps */
export function mergeRun(program, widths, steps) {
  const outputs = widths.map((size, place) => [OUTPUTS[place], {size, data: new Float64Array(steps * size)}]);
  const sizes = {"one direction": widths[0], merged: 0},
    rows = Object.fromEntries(outputs);
  const setting = {program, steps, reverse: false, valid: null, constants: {}, rows, sizes};
  const {size} = new Binding({...setting, program: {...program, backward: []}}).slot("y");
  return new Run({...setting, sizes: {...setting.sizes, merged: size}});
}

/**
 * Arrays of a run's own, since edits change them.
 * @param {Record<string, Values>} constants @returns {Record<string, Values>}
 */
export function copies(constants) {
  const made = Object.entries(constants).map(([name, {shape, data}]) => [name, {shape, data: data.slice()}]);
  return Object.fromEntries(made);
}

/** At which steps a direction puts something out. @param {Wiring} wiring @param {boolean} reverse */
export function seenOf({valid, steps, repeats}, reverse) {
  if (valid === null) return new Uint8Array(steps).fill(1);
  const seen = valid.slice();
  if (!repeats) return seen;
  let any = 0;
  for (let n = 0; n < steps; n++) {
    const step = reverse ? steps - 1 - n : n;
    any = any || valid[step];
    seen[step] = any;
  }
  return seen;
}

/** The numbers of a step. @param {Run} run @param {string} name @param {number} step */
export function rowOf(run, name, step) {
  const {data, size} = run.bound.slot(name);
  return data.subarray(step * size, (step + 1) * size);
}

/** The state that a run ends in. @param {Run} run @param {string} source */
export function lastOf(run, source) {
  const slot = run.bound.slot(source);
  return /** @type {Float64Array} */ (run.bound.carry.find(one => one.source === slot)?.last);
}
