/** A program run over the steps of a sequence, forward and backward, as far as it is asked for. */

import {Binding} from "./binding.js";
import {copyTo} from "./functions.js";
import {Pass} from "./pass.js";

export class ProgramRun {
  /** @param {Setting} setting */
  constructor(setting) {
    const {program, steps, reverse, valid} = setting;
    this.setting = setting;
    this.steps = steps;
    this.valid = valid;
    this.roles = program.quantities.roles;
    this.bound = new Binding(setting);
    this.runs = runsOf(this.bound.forward);
    this.runsBack = runsOf(this.bound.backward);
    this.order = Int32Array.from({length: steps}, (_, n) => (reverse ? steps - 1 - n : n));
    const carries = program.carry.length > 0;
    this.forward = new Pass(this.order, carries, (step, next) => {
      this.#forward(step);
      this.#carry(this.bound.carry, step, next);
    });
    this.backward = new Pass(this.order.slice().reverse(), carries, (step, next) => {
      this.#backward(step);
      this.#carry(this.bound.carryBack, step, next);
    });
    const arriving = program.given.filter(({kind}) => kind === "gradient").map(({symbol}) => symbol);
    this.gradients = new Set([...arriving, ...this.bound.backward.keys()]);
    this.computed = -1; // the step whose quantities stand where they are not kept for every step
    this.computedBack = -1;
    this.fresh = false; // whether what is the same at every step has been computed
    /** @type {Map<string, Float64Array>} */
    this.sums = new Map();
    /** @type {(step: number) => void} */
    this.pull = () => {}; // makes what a step is given
    /** @type {(step: number) => void} */
    this.pullBack = () => {};
  }

  /** @param {string} name */
  has(name) {
    return this.bound.slots.has(name);
  }

  /** The place of the quantity that has a role. @param {Role} role */
  slotOf(role) {
    return this.bound.slot(this.roles[role]);
  }

  /** The numbers of a role at a step. @param {Role} role @param {number} step */
  rowOf(role, step) {
    return this.row(this.roles[role], step);
  }

  /** The numbers of a name at a step. @param {string} name @param {number} step */
  row(name, step) {
    const {data, size} = this.bound.slot(name);
    return data.subarray(step * size, (step + 1) * size);
  }

  /** The name of the gradient with respect to the quantity of a role. @param {Role} role */
  gradientOf(role) {
    return /** @type {string} */ (this.setting.program.quantities.gradient(this.roles[role]));
  }

  /** @param {string} name @returns {number[]} */
  shape(name) {
    return this.bound.slot(name).shape;
  }

  /** @param {number} step */
  takesPart(step) {
    return this.valid === null || this.valid[step] === 1;
  }

  /** Whether a name is of the backward pass. @param {string} name */
  isGradient(name) {
    return this.gradients.has(name);
  }

  /** @param {string} name @returns {CompiledQuantity | undefined} */
  quantity(name) {
    return this.bound.backward.get(name) ?? this.bound.forward.get(name);
  }

  /** Run as far as a name at a step needs. @param {string} name @param {number} step */
  to(name, step) {
    if (this.isGradient(name)) this.backward.to(step);
    else this.forward.to(step);
  }

  /** Let all that a name needs stand for its value at a step. @param {string} name @param {number} step */
  standAt(name, step) {
    this.moveTo(step);
    if (!this.setting.lean) return;
    this.#compute(step);
    if (!this.isGradient(name) || this.computedBack === step) return;
    for (const run of this.runsBack) run();
    this.computedBack = step;
  }

  /** Compute a step forward, unless it is the one that was computed last. @param {number} step */
  #compute(step) {
    if (this.setting.lean && this.computed === step) return;
    for (const run of this.runs) run();
    this.computed = step;
    this.computedBack = -1;
  }

  /** @param {number} step */
  moveTo(step) {
    this.bound.moveTo(step);
    if (this.fresh) return;
    for (const run of this.bound.once) run();
    this.fresh = true;
  }

  /** @param {number} step */
  #forward(step) {
    this.pull(step);
    this.moveTo(step);
    if (this.takesPart(step)) {
      this.#compute(step);
      return;
    }
    this.computed = -1;
    passOver(this.bound.forward);
    for (const {into, source} of this.bound.carry) copyTo(source, into);
  }

  /** @param {number} step */
  #backward(step) {
    this.forward.to(step);
    this.pullBack(step);
    this.moveTo(step);
    if (!this.takesPart(step)) {
      this.computedBack = -1;
      passOver(this.bound.backward);
      return;
    }
    if (this.setting.lean) this.#compute(step);
    for (const run of this.runsBack) run();
    this.computedBack = step;
  }

  /**
   * Hand on to the next step, or to where the run ends; a step that takes no part hands on what it was handed.
   * @param {Carried[]} carried @param {number} step @param {number | undefined} next
   */
  #carry(carried, step, next) {
    for (const {into, source, last, passed} of carried) {
      const to = next === undefined ? last : into.data,
        o = next === undefined ? 0 : next * into.size;
      const takes = this.takesPart(step),
        from = takes ? source.data : into.data,
        p = step * into.size;
      for (let n = 0; n < into.size; n++) to[o + n] = from[p + n];
      if (!takes && passed !== null) for (let n = 0; n < into.size; n++) to[o + n] += passed.data[p + n];
    }
  }

  /** Forget what depends on the inputs of steps from one to another. @param {number} first @param {number} last */
  forget(first, last) {
    this.forward.forget(first, last);
    for (const {ready} of this.bound.ahead) ready.fill(0, first, last + 1);
    this.forgetBack();
  }

  /**
   * Forget what depends on a row of a parameter; products of the row with what no state is part of are made again.
   * @param {string} name @param {number} row @param {number} [column]
   */
  forgetParameter(name, row, column) {
    this.fresh = false;
    this.moveTo(this.bound.at);
    this.forward.forget(0, this.steps - 1);
    for (const {names, ready, again, byRow} of this.bound.ahead) {
      if (!names.includes(name)) continue;
      if (again === null || !byRow) ready.fill(0);
      else again(row, column);
    }
    this.forgetBack();
  }

  /** Forget the backward pass. */
  forgetBack() {
    this.computed = this.computedBack = -1;
    this.backward.forget(0, this.steps - 1);
    this.sums.clear();
  }

  /** Take over what another run of the same setting is given and has computed forward. @param {ProgramRun} other */
  copyFrom(other) {
    this.bound.copyFrom(other.bound);
    this.forward.copyFrom(other.forward);
    this.fresh = false;
    this.forgetBack();
  }
}

/** @param {Map<string, CompiledQuantity>} quantities @returns {(() => void)[]} */
function runsOf(quantities) {
  return [...quantities.values()].filter(({always}) => always).map(({run}) => run);
}

/** At a step that takes no part nothing is computed. @param {Map<string, CompiledQuantity>} quantities */
function passOver(quantities) {
  for (const {
    op: {slot},
  } of quantities.values())
    slot.data.fill(NaN, slot.offset, slot.offset + slot.size);
}
