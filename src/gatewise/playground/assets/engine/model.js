/** The running model: every number of it by its reference, as the document gives it and as edits make it. */

import {difference} from "./arrays.js";
import {cellsOf, namesOf} from "./cells.js";
import {Network} from "./network.js";
import {entryIn, seriesIn, valueIn} from "./readings.js";
import {symbolsOf} from "./trees.js";
import {wiringOf} from "./wiring.js";

const MOST_STORED = 60e6; // numbers of a run: half a gigabyte

/**
 * The running model of a document. Of a run with more numbers than `most` only states are stored, and the rest is
 * computed again.
 * @param {RunDocument} doc @param {number} [most] @returns {Model}
 */
export function createModel(doc, most = MOST_STORED) {
  return new Model(doc, most);
}

export class Model {
  /** @param {RunDocument} doc @param {number} most */
  constructor(doc, most) {
    this.doc = doc;
    this.wiring = wiringOf(doc, most);
    this.steps = this.wiring.steps;
    this.base = new Network(this.wiring);
    /** @type {Network | null} */
    this.edited = null;
    this.network = this.base;
    /** @type {Edit[]} */
    this.edits = [];
    this.hasHead = this.wiring.head !== null;
    this.readsLast = this.wiring.readsLast;
    this.layers = cellsOf(this.base, doc.labels ?? {}, doc.phrases?.cells);
    this.outputs = namesOf(this.base.output.slotOf("output").size, doc.labels?.outputs, "y");
    this.wantsBackward = false;
    /** @type {(network: Network, loss: Loss) => Loss} */
    this.lossOf = (_, loss) => loss; // training puts another one in its place
    this.setLoss({of: "h", layer: this.layers.length - 1, direction: 0, unit: 0, step: this.steps - 1});
  }

  // Programs and their quantities.

  /** Whether a place is the head, behind the last layer. @param {Place} place */
  isHead({layer}) {
    return layer === this.layers.length;
  }

  /** The cell of a place. @param {Place} place */
  cell({layer, direction}) {
    return this.layers[layer].cells[direction];
  }

  /** The run that has a name: of a cell, of the merging of its layer, or of the head. @param {Network} network
   * @param {Place & {name?: string}} ref @returns {ProgramRun} */
  #run(network, {layer, direction, name}) {
    if (layer === this.layers.length) return network.output;
    const run = network.cells[layer][direction];
    return name === undefined || run.has(name) ? run : network.merges[layer];
  }

  /** @param {Place & {name?: string}} ref */
  #program(ref) {
    return this.#run(this.base, ref).setting.program;
  }

  /** The names that have a role in the program of a place. @param {Place} place */
  roles({layer, direction}) {
    return this.#program({layer, direction}).quantities.roles;
  }

  /** The record of a quantity. @param {NameRef} ref */
  quantity(ref) {
    return this.#program(ref).quantities.record(ref.name);
  }

  /** Whether a quantity is the gradient of another. @param {NameRef} ref */
  isGradient(ref) {
    return this.quantity(ref).gradient_of !== null;
  }

  /** The name of the gradient with respect to a quantity, or null where the program has none. @param {NameRef} ref */
  gradientName(ref) {
    const name = this.#program(ref).quantities.gradient(ref.name);
    return name !== null && this.has({...ref, name}) ? name : null;
  }

  /** Whether the program of a place has a quantity. @param {NameRef} ref */
  has({layer, direction, name}) {
    return this.#run(this.base, {layer, direction}).has(name);
  }

  /** @param {NameRef} ref */
  shape(ref) {
    return this.#run(this.base, ref).shape(ref.name);
  }

  /** The equation of a quantity. @param {NameRef} ref @returns {Assignment | null} */
  equation(ref) {
    const {forward, backward} = this.#program(ref);
    return [...forward, ...backward].find(({left}) => left === ref.name) ?? null;
  }

  /** The names of a program's equations, in their order. @param {Place} place @param {boolean} backward */
  order({layer, direction}, backward) {
    const program = this.#program({layer, direction});
    return (backward ? program.backward : program.forward).map(({left}) => left);
  }

  /** The symbols of an equation. @param {NameRef} ref */
  inputs(ref) {
    const equation = this.equation(ref);
    return equation === null ? [] : symbolsOf(equation.right);
  }

  /** The given quantities of a place's program. @param {Place} place */
  givens({layer, direction}) {
    return this.#program({layer, direction}).given;
  }

  /** The entry of a given quantity in its program; undefined for a computed one. @param {NameRef} ref */
  given(ref) {
    return this.#program(ref).given.find(({symbol}) => symbol === ref.name);
  }

  /** The names of a quantity's axes. @param {NameRef} ref @returns {string[]} */
  axes(ref) {
    return (this.equation(ref) ?? this.given(ref))?.axes ?? [];
  }

  /** Whether a quantity has one value for all steps: a parameter, or its gradient, which is a sum over them.
   * @param {NameRef} ref */
  isOverall(ref) {
    return this.equation(ref)?.sums ?? this.given(ref)?.kind === "parameter";
  }

  // Numbers.

  /** @param {Network} network @param {StepRef} ref */
  #runOf(network, ref) {
    const run = this.#run(network, ref);
    if (run.isGradient(ref.name)) this.wantsBackward = true;
    return {run, step: ref.step !== null && run.steps === 1 ? 0 : ref.step};
  }

  /** @param {Network} network @param {StepRef} ref */
  #value(network, ref) {
    const {run, step} = this.#runOf(network, ref);
    return valueIn(run, ref.name, step);
  }

  /** @param {Network} network @param {Ref} ref */
  #number(network, ref) {
    const {run, step} = this.#runOf(network, ref);
    return entryIn(run, ref.name, step, this.#entry(ref));
  }

  /** The number of an entry, row by row. @param {NameRef & {at: number[]}} ref */
  #entry(ref) {
    const shape = this.shape(ref);
    return ref.at.reduce((place, n, axis) => place * shape[axis] + n, 0);
  }

  /** The value of a quantity at a step, row by row. @param {StepRef} ref */
  value(ref) {
    return this.#value(this.network, ref);
  }

  /** @param {Ref} ref */
  number(ref) {
    return this.#number(this.network, ref);
  }

  /** A number before any edit. @param {Ref} ref */
  original(ref) {
    return this.#number(this.base, ref);
  }

  /** A number at every step; NaN at steps that are not valid. @param {NameRef & {at: number[]}} ref */
  series(ref) {
    const {run} = this.#runOf(this.network, {...ref, step: null});
    const {valid} = this.wiring;
    const series = seriesIn(run, ref.name, this.#entry(ref));
    if (run.steps === 1) return new Float64Array(this.steps).fill(series[0]);
    return valid === null ? series : series.map((value, step) => (valid[step] === 1 ? value : NaN));
  }

  /** Whether a number is given, not computed: it may be edited. @param {Ref} ref */
  isGiven({layer, direction, name, step}) {
    const run = this.#run(this.base, {layer, direction});
    if (run === this.base.last || !run.has(name)) return false;
    const kind = run.setting.program.given.find(({symbol}) => symbol === name)?.kind;
    if (Object.hasOwn(run.setting.constants, name)) return step === null && kind === "parameter";
    if (kind === "input") return layer === 0;
    return kind === "state" && step === run.order[0];
  }

  /** @param {Loss} loss */
  setLoss(loss) {
    this.loss = loss;
    for (const network of [this.base, this.edited]) {
      if (network === null) continue;
      network.loss = this.lossOf(network, loss);
      for (const run of network.runs) run.forgetBack();
    }
  }

  // Edits.

  /** The key of an edit: the inputs are those of both directions. @param {Ref} ref */
  editKey(ref) {
    const isInput = this.#run(this.base, ref).setting.program.quantities.roles.input === ref.name;
    return JSON.stringify([ref.layer, isInput ? 0 : ref.direction, ref.name, ref.step, ref.at]);
  }

  /** Let these edits be all there are. @param {Edit[]} edits */
  edit(edits) {
    if (edits.length === 0) {
      this.edits = [];
      this.network = this.base;
      return;
    }
    const computed = edits.find(({ref}) => !this.isGiven(ref));
    if (computed !== undefined) throw new Error(`${computed.ref.name} is computed, so it cannot be edited`);
    this.edits = edits;
    this.edited ??= this.#copy();
    this.network = this.edited;
    this.#apply(this.edited, edits);
  }

  /** Another network, as far as the original has run. */
  #copy() {
    const network = new Network(this.wiring);
    network.copyFrom(this.base);
    return network;
  }

  /** Bring a network from the edits that it has to others. @param {Network} network @param {Edit[]} edits */
  #apply(network, edits) {
    const goal = new Map(edits.map(edit => [this.editKey(edit.ref), edit]));
    for (const [key, {ref, before}] of network.history) {
      if (!goal.has(key)) this.#put(network, ref, before);
    }
    for (const {ref, value} of goal.values()) this.#put(network, ref, value);
    network.history = new Map([...goal].map(([key, {ref}]) => [key, {ref, before: this.original(ref)}]));
  }

  /** @param {Network} network @param {Ref} ref @param {number} value */
  #put(network, ref, value) {
    const slot = this.#run(network, ref).bound.slot(ref.name);
    const n = this.#entry(ref) + (ref.step === null ? 0 : ref.step * slot.size);
    if (Object.is(slot.data[n], value)) return;
    slot.data[n] = value;
    network.changed(ref);
  }

  /** Compute the rest for some milliseconds; whether all is done. @param {number} milliseconds */
  finish(milliseconds) {
    const end = performance.now() + milliseconds;
    do {
      if (!this.network.advance(this.wantsBackward)) continue;
      this.edited ??= this.#copy(); // so that the first edit need not wait for it
      return true;
    } while (performance.now() < end);
    return false;
  }

  /** The influence of the edits: the largest change of the hidden state at each step, by layer and direction.
   * @returns {Float64Array[][]} */
  influence() {
    return this.network.cells.map((row, layer) =>
      row.map((run, direction) => {
        const name = this.roles({layer, direction}).hidden_state;
        const original = this.base.cells[layer][direction];
        return Float64Array.from(run.order, (_, step) =>
          difference(valueIn(run, name, step), valueIn(original, name, step)),
        );
      }),
    );
  }
}
