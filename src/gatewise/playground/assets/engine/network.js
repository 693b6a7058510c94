/** Cells wired into a network that runs: layers, directions, their merging, and a head, each a run of its program. */

import {ProgramRun} from "./program_run.js";
import {cellRun, copies, lastHidden, mergeRun, shownSteps} from "./network_runs.js";
import {OUTPUTS} from "./wiring.js";

export class Network {
  /** @param {Wiring} wiring */
  constructor(wiring) {
    this.wiring = wiring;
    this.x = wiring.x.data.slice();
    /** @type {ProgramRun[][]} */
    this.cells = [];
    /** @type {ProgramRun[]} */
    this.merges = [];
    /** @type {Uint8Array[][]} */
    this.shows = []; // of each direction of a layer: the steps at which it puts something out
    /** @type {Loss | null} */
    this.loss = null;
    /** @type {Map<string, {ref: Ref, before: number}>} */
    this.history = new Map(); // the edits that are made, with the numbers before them
    /** @type {{size: number, data: Float64Array}} */
    let below = {size: wiring.x.shape[1], data: this.x};
    wiring.layers.forEach((row, layer) => {
      below = this.#layer(row, layer, below);
    });
    const top = this.merges.length - 1;
    this.last = wiring.readsLast ? this.#lastMerge(top) : this.merges[top];
    /** @type {ProgramRun | null} */
    this.head = wiring.head === null ? null : this.#head(wiring.head);
    this.output = this.head ?? this.last;
    this.runs = this.#inOrder();
    this.runsBack = this.runs.slice().reverse();
  }

  /** @param {WiredCell[]} row @param {number} layer @param {{size: number, data: Float64Array}} x */
  #layer(row, layer, x) {
    const runs = row.map(cell => cellRun(cell, this.wiring, x));
    runs.forEach((run, place) => {
      run.pull = step => {
        if (layer > 0) this.merges[layer - 1].forward.to(step);
      };
      run.pullBack = step => this.#seed(layer, place, step);
    });
    this.cells.push(runs);
    this.shows.push(row.map(({reverse}) => shownSteps(this.wiring, reverse)));
    const merge = mergeRun(
      this.wiring.merges[layer],
      runs.map(run => run.slotOf("hidden_state").size),
      this.wiring.steps,
    );
    merge.pull = step => runs.forEach((run, place) => this.#putOut(run, merge, layer, place, step));
    merge.pullBack = step => this.#arrive(merge, layer, step);
    this.merges.push(merge);
    const {size, data} = merge.slotOf("output");
    return {size, data};
  }

  /**
   * Put out a direction's hidden state, or nothing where it is not seen.
   * @param {ProgramRun} run @param {ProgramRun} merge @param {number} layer @param {number} place @param {number} step
   */
  #putOut(run, merge, layer, place, step) {
    run.forward.to(step);
    const {data: from, size} = run.slotOf("hidden_state"),
      {data: to} = merge.slotOf(OUTPUTS[place]);
    const isShown = this.shows[layer][place][step] === 1;
    for (let n = step * size; n < (step + 1) * size; n++) to[n] = isShown ? from[n] : 0;
  }

  /** @param {number} top */
  #lastMerge(top) {
    const runs = this.cells[top],
      {steps} = this.wiring;
    const merge = mergeRun(
      this.wiring.merges[top],
      runs.map(run => run.slotOf("hidden_state").size),
      1,
    );
    merge.pull = () =>
      runs.forEach((run, place) => {
        run.forward.to(run.order[steps - 1]);
        merge.slotOf(OUTPUTS[place]).data.set(lastHidden(run));
      });
    merge.pullBack = () => merge.slotOf("output_gradient").data.set(this.#arriving(0));
    return merge;
  }

  /** @param {{program: Program, constants: Record<string, Values>, skip: number}} head */
  #head({program, constants, skip}) {
    const {size, data} = this.last.slotOf("output"),
      {steps} = this.last,
      {roles} = program.quantities,
      outputs = constants[roles.output_bias].data.length;
    const row = () => ({size: outputs, data: new Float64Array(steps * outputs)}),
      added = row();
    const skipped = skip ? {[roles.skipped]: added} : {};
    const rows = {[roles.read]: {size, data}, ...skipped, [roles.output_gradient]: row()};
    const run = new ProgramRun({
      program,
      steps,
      reverse: false,
      valid: null,
      rows,
      constants: copies(constants),
      sizes: {},
    });
    run.pull = step => {
      this.last.forward.to(step);
      const from = step * this.wiring.x.shape[1],
        to = step * outputs;
      for (let n = 0; skip && n < outputs; n++) added.data[to + n] = this.x[from + (skip > 1 ? n : 0)];
    };
    run.pullBack = step => this.#outputSeed(run, step);
    return run;
  }

  // Backward.

  /** The gradient of the loss with respect to the output itself. @param {ProgramRun} run @param {number} step */
  #outputSeed(run, step) {
    const {data, size} = run.slotOf("output_gradient"),
      {loss} = this;
    data.fill(0, step * size, (step + 1) * size);
    if (loss?.of === "all") data.set(loss.dy.subarray(step * size, (step + 1) * size), step * size);
    if (loss?.of === "y" && (this.wiring.readsLast || loss.step === step)) data[step * size + loss.unit] = 1;
  }

  /** The gradient that arrives at the input of the head. @param {number} step */
  #arriving(step) {
    if (this.head === null) {
      this.#outputSeed(this.last, step);
      return this.last.rowOf("output_gradient", step);
    }
    this.head.backward.to(step);
    return this.head.row(this.head.gradientOf("read"), step);
  }

  /**
   * What arrives at the output of a layer: from the head, or from the layer above.
   * @param {ProgramRun} merge @param {number} layer @param {number} step
   */
  #arrive(merge, layer, step) {
    const to = merge.rowOf("output_gradient", step),
      above = this.cells[layer + 1];
    if (above === undefined && !this.wiring.readsLast) to.set(this.#arriving(step));
    else to.fill(0);
    if (above === undefined || this.#endsBelow(layer + 1)) return;
    for (const run of above) {
      run.backward.to(step);
      if (run.takesPart(step))
        run.row(run.gradientOf("input"), step).forEach((value, n) => {
          to[n] += value;
        });
    }
  }

  /** Whether the loss is of a hidden state below a layer. @param {number} layer */
  #endsBelow(layer) {
    return this.loss?.of === "h" && this.loss.layer < layer;
  }

  /**
   * What arrives at the hidden state of a cell at a step, beside what its own next step hands back.
   * @param {number} layer @param {number} place @param {number} step
   */
  #seed(layer, place, step) {
    const {loss} = this,
      run = this.cells[layer][place],
      merge = this.merges[layer],
      to = run.rowOf("output_gradient", step);
    to.fill(0);
    if (loss?.of === "h") {
      if (loss.layer === layer && loss.direction === place && loss.step === step) to[loss.unit] = 1;
    }
    if (step === run.order[this.wiring.steps - 1]) this.#ends(run, layer, place);
    if (loss?.of === "h" && loss.layer <= layer) return;
    merge.backward.to(step);
    if (this.shows[layer][place][step] === 0) return;
    merge.row(merge.gradientOf(OUTPUTS[place]), step).forEach((value, n) => {
      to[n] += value;
    });
  }

  /** Set the gradients that arrive at the last states of a run. @param {ProgramRun} run @param {number} layer @param {number} place */
  #ends(run, layer, place) {
    const {steps} = this.wiring,
      step = run.order[steps - 1];
    for (const {name, into} of run.bound.carryBack) {
      into.data.fill(0, step * into.size, (step + 1) * into.size);
      const after = this.loss?.of === "all" && layer === this.cells.length - 1 ? this.loss.after?.[name] : undefined;
      if (after !== undefined) into.data.set(after, step * into.size);
    }
    if (!this.wiring.readsLast || layer < this.cells.length - 1 || this.loss?.of === "h") return;
    this.last.backward.to(0);
    for (const {into, passed} of run.bound.carryBack) {
      if (passed !== null) into.data.set(this.last.row(this.last.gradientOf(OUTPUTS[place]), 0), step * into.size);
    }
  }

  /** Forget what depends on a given number that has changed. @param {Ref} ref */
  changed({layer, direction, name, step, at: [row, column]}) {
    const top = this.cells.length;
    for (const run of this.runs) run.forgetBack();
    if (layer === top) {
      this.output.forgetParameter(name, row, column);
      return;
    }
    const run = this.cells[layer][direction];
    if (step === null) run.forgetParameter(name, row, column);
    const isInput = name === run.roles.input;
    let [first, last] = step === null || !isInput ? [run.order[0], run.order[0]] : [step, step];
    let changed = isInput ? this.cells[layer] : [run];
    for (let l = layer; l < top; l++) {
      const from = first,
        to = last;
      for (const run of changed) {
        if (step !== null || l > layer) run.forget(from, to);
        if (run.setting.reverse) first = 0;
        else last = this.wiring.steps - 1;
      }
      this.merges[l].forget(first, last);
      changed = this.cells[l + 1];
    }
    if (this.wiring.readsLast) this.last.forget(0, 0);
    if (this.wiring.readsLast) this.head?.forget(0, 0);
    else this.head?.forget(first, last);
  }

  /** ProgramRun some steps that have not run yet; whether there is none. @param {boolean} backward */
  advance(backward) {
    for (const run of this.runs) if (run.forward.advance()) return false;
    if (backward) for (const run of this.runsBack) if (run.backward.advance()) return false;
    return true;
  }

  /** Every run, from the first layer on. */
  #inOrder() {
    const last = this.wiring.readsLast ? [this.last] : [],
      head = this.head === null ? [] : [this.head];
    return [...this.cells.flatMap((row, layer) => [...row, this.merges[layer]]), ...last, ...head];
  }

  /** Take over what another network of the same wiring is given and has computed forward. @param {Network} other */
  copyFrom(other) {
    this.x.set(other.x);
    this.loss = other.loss;
    this.runs.forEach((run, n) => run.copyFrom(other.runs[n]));
  }
}
