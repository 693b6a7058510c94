/** A program run over the steps of a sequence, forward and backward, as far as it is asked for. */

import {Binding} from "./binding.js";
import {copyTo} from "./functions.js";

const AT_ONCE = 8; // steps, between two looks at the clock

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
    const arriving = program.given.filter(({kind}) => kind === "gradient").map(({symbol}) => symbol);
    this.gradients = new Set([...arriving, ...this.bound.backward.keys()]);
    this.carries = program.carry.length > 0; // whether a step depends on the one before
    this.computed = -1; // the step whose quantities stand where they are not kept for every step
    this.computedBack = -1;
    this.fresh = false; // whether what is the same at every step has been computed
    this.done = 0;
    this.doneBack = 0;
    this.ready = new Uint8Array(steps); // where nothing is carried
    this.readyBack = new Uint8Array(steps);
    this.from = 0; // no step before it is left to run forward
    this.fromBack = 0;
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
  place(step) {
    return this.setting.reverse ? this.steps - 1 - step : step;
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
    if (this.isGradient(name)) this.backwardTo(step);
    else this.forwardTo(step);
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

  /** Run forward as far as a step. @param {number} step */
  forwardTo(step) {
    if (!this.carries) {
      if (this.ready[step] === 0) this.#forward(step);
      this.ready[step] = 1;
      return;
    }
    for (const end = this.place(step); this.done <= end; this.done++) {
      const at = this.order[this.done];
      this.#forward(at);
      this.#carry(this.bound.carry, at, this.order[this.done + 1]);
    }
  }

  /** Run some steps further; whether any were left. */
  advance() {
    if (!this.carries) this.from = leftFrom(this.ready, this.from);
    const start = this.carries ? this.done : this.from;
    const end = Math.min(start + AT_ONCE, this.steps);
    if (this.carries && start < end) this.forwardTo(this.order[end - 1]);
    else for (let step = start; step < end; step++) this.forwardTo(step);
    return start < end;
  }

  /** The same of the backward pass. */
  advanceBack() {
    if (!this.carries) this.fromBack = leftFrom(this.readyBack, this.fromBack);
    const start = this.carries ? this.doneBack : this.fromBack;
    const end = Math.min(start + AT_ONCE, this.steps);
    if (this.carries && start < end) this.backwardTo(this.order[this.steps - end]);
    else for (let step = start; step < end; step++) this.backwardTo(step);
    return start < end;
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

  /** Run backward as far as a step, from the end. @param {number} step */
  backwardTo(step) {
    if (!this.carries) {
      if (this.readyBack[step] === 0) this.#backward(step);
      this.readyBack[step] = 1;
      return;
    }
    for (const end = this.steps - this.place(step); this.doneBack < end; this.doneBack++) {
      const n = this.steps - 1 - this.doneBack,
        at = this.order[n];
      this.#backward(at);
      this.#carry(this.bound.carryBack, at, this.order[n - 1]);
    }
  }

  /** @param {number} step */
  #backward(step) {
    this.forwardTo(step);
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
    this.done = Math.min(this.done, this.place(this.setting.reverse ? last : first));
    this.ready.fill(0, first, last + 1);
    this.from = Math.min(this.from, first);
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
    this.done = this.from = 0;
    this.ready.fill(0);
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
    this.doneBack = this.fromBack = 0;
    this.readyBack.fill(0);
    this.sums.clear();
  }

  /** Take over what another run of the same setting is given and has computed forward. @param {ProgramRun} other */
  copyFrom(other) {
    this.bound.copyFrom(other.bound);
    this.ready.set(other.ready);
    this.done = other.done;
    this.from = other.from;
    this.fresh = false;
    this.forgetBack();
  }
}

/**
 * The first step from one on that is not ready, or how many there are.
 * @param {Uint8Array} ready @param {number} from
 */
function leftFrom(ready, from) {
  const step = ready.indexOf(0, from);
  return step < 0 ? ready.length : step;
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
