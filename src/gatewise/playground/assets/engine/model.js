/** The running model: every number of it by name, as the document gives it and as edits make it. */

import {difference} from "./arrays.js";
import {cellsOf, namesOf} from "./cells.js";
import {Network} from "./network.js";
import {entryIn, seriesIn, valueIn} from "./readings.js";
import {symbolsOf} from "./trees.js";
import {wiringOf} from "./wiring.js";

/** @typedef {import("./program_run.js").Run} Run */
/** @typedef {import("./binding.js").Assignment} Assignment */
/** @typedef {import("./network.js").Loss} Loss */
/** @typedef {{layer: number, direction: number, name: string, step: number | null, at: number[]}} Ref */
/** @typedef {{ref: Ref, value: number}} Edit */

const MOST_KEPT = 60e6; // numbers of a run: half a gigabyte

/**
 * The running model of a document.
 * @param {any} doc
 * @param {number} [most] numbers that are kept of a run: of a longer one states alone, and the rest is computed again
 * @returns {Model}
 */
export function createModel(doc, most = MOST_KEPT) {
  return new Model(doc, most);
}

export class Model {
  /** @param {any} doc @param {number} most */
  constructor(doc, most) {
    this.doc = doc;
    this.labels = doc.labels;
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
    this.layers = cellsOf(this.base, this.labels ?? {});
    this.outputs = namesOf(this.base.output.bound.slot("y").size, this.labels?.outputs, "y");
    this.wantsBackward = false;
    this.setLoss({of: "h", layer: this.layers.length - 1, direction: 0, unit: 0, step: this.steps - 1});
  }

  /**
   * Which run has a name, and at which of its steps.
   * @param {Network} network @param {number} layer @param {number} direction @param {string} name @returns {Run}
   */
  #run(network, layer, direction, name) {
    if (layer === this.layers.length) return network.output;
    return name === "y" ? network.merges[layer] : network.cells[layer][direction];
  }

  /**
   * @param {Network} network @param {number} layer @param {number} direction @param {string} name
   * @param {number | null} step
   */
  #value(network, layer, direction, name, step) {
    const run = this.#run(network, layer, direction, name);
    if (run.isGradient(name)) this.wantsBackward = true;
    return valueIn(run, name, step !== null && run.steps === 1 ? 0 : step);
  }

  /**
   * @param {Network} network @param {number} layer @param {number} direction @param {string} name
   * @param {number | null} step @param {number} n
   */
  #entry(network, layer, direction, name, step, n) {
    const run = this.#run(network, layer, direction, name);
    if (run.isGradient(name)) this.wantsBackward = true;
    return entryIn(run, name, step !== null && run.steps === 1 ? 0 : step, n);
  }

  /**
   * The value of a name at a step, row by row; of a parameter, or of its gradient summed over steps, the step is null.
   * @param {number} layer @param {number} direction @param {string} name @param {number | null} step
   */
  value(layer, direction, name, step) {
    return this.#value(this.network, layer, direction, name, step);
  }

  /** @param {number} layer @param {number} direction @param {string} name */
  has(layer, direction, name) {
    return this.#run(this.base, layer, direction, name).has(name);
  }

  /** @param {number} layer @param {number} direction @param {string} name */
  shape(layer, direction, name) {
    return this.#run(this.base, layer, direction, name).shape(name);
  }

  /** @param {Ref} ref */
  number(ref) {
    return this.#number(this.network, ref);
  }

  /** The same before any edit. @param {Ref} ref */
  original(ref) {
    return this.#number(this.base, ref);
  }

  /** @param {Network} network @param {Ref} ref */
  #number(network, {layer, direction, name, step, at}) {
    return this.#entry(network, layer, direction, name, step, this.#place(layer, direction, name, at));
  }

  /** @param {number} layer @param {number} direction @param {string} name @param {number[]} at */
  #place(layer, direction, name, at) {
    const shape = this.shape(layer, direction, name);
    return at.reduce((place, n, axis) => place * shape[axis] + n, 0);
  }

  /**
   * A number over all steps; nothing (NaN) where a step takes no part.
   * @param {number} layer @param {number} direction @param {string} name
   * @param {number} unit of a matrix the place of an entry, row by row
   */
  series(layer, direction, name, unit) {
    const run = this.#run(this.network, layer, direction, name),
      {valid} = this.wiring;
    if (run.isGradient(name)) this.wantsBackward = true;
    const found = seriesIn(run, name, unit);
    if (run.steps === 1) return new Float64Array(this.steps).fill(found[0]);
    return valid === null ? found : found.map((one, step) => (valid[step] === 1 ? one : NaN));
  }

  /** Whether a number is given, not computed: it may be edited. @param {Ref} ref */
  isGiven({layer, direction, name, step}) {
    const run = this.#run(this.base, layer, direction, name);
    if (run === this.base.last) return false;
    const {constants, program} = run.setting,
      kind = program.given.find(({symbol}) => symbol === name)?.kind;
    if (Object.hasOwn(constants, name)) return step === null && kind === "parameter";
    if (name === "x") return layer === 0;
    return kind === "state" && step === run.order[0];
  }

  /** The gradient of the embedding's table, row by row, or null where there is none. */
  embeddingGradient() {
    return this.network.embeddingGradient();
  }

  /** @param {Loss} loss */
  setLoss(loss) {
    this.loss = loss;
    for (const network of [this.base, this.edited]) {
      if (network === null) continue;
      network.loss = loss;
      for (const run of network.runs) run.forgetBack();
    }
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

  /** A network of its own, as far as the original has run. */
  #copy() {
    const network = new Network(this.wiring);
    network.copyFrom(this.base);
    return network;
  }

  /** Bring a network from the edits that it has to others. @param {Network} network @param {Edit[]} edits */
  #apply(network, edits) {
    const goal = new Map(edits.map(({ref, value}) => [keyOf(ref), {ref, value}]));
    for (const [key, {ref, before}] of network.kept) {
      if (!goal.has(key)) this.#put(network, ref, before);
    }
    for (const {ref, value} of goal.values()) this.#put(network, ref, value);
    network.kept = new Map([...goal].map(([key, {ref}]) => [key, {ref, before: this.original(ref)}]));
  }

  /** @param {Network} network @param {Ref} ref @param {number} value */
  #put(network, ref, value) {
    const {layer, direction, name, step} = ref,
      slot = this.#run(network, layer, direction, name).bound.slot(name);
    const n = this.#place(layer, direction, name, ref.at) + (step === null ? 0 : step * slot.size);
    if (Object.is(slot.data[n], value)) return;
    slot.data[n] = value;
    network.changed(layer, direction, name, step, ref.at);
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

  /**
   * Whether a value differs from the original.
   * @param {number} layer @param {number} direction @param {string} name @param {number | null} step
   */
  changed(layer, direction, name, step) {
    if (this.network === this.base) return false;
    const before = this.#value(this.base, layer, direction, name, step);
    return difference(this.value(layer, direction, name, step), before) !== 0;
  }

  /**
   * How far an edit (or all that there are) travels: the largest change of h at each step, by layer and direction.
   * @param {Edit} [edit] @returns {Float64Array[][]}
   */
  reach(edit) {
    const [only] = this.edits,
      isOnly = this.edits.length === 1 && edit !== undefined && isSame(only, edit);
    const network = edit === undefined || isOnly ? this.network : this.#copy();
    if (network !== this.network && edit !== undefined) this.#apply(network, [edit]);
    return network.cells.map((row, layer) =>
      row.map((run, direction) =>
        Float64Array.from(run.order, (_, step) =>
          difference(valueIn(run, "h", step), valueIn(this.base.cells[layer][direction], "h", step)),
        ),
      ),
    );
  }

  /**
   * The equation of a name.
   * @param {number} layer @param {number} direction @param {string} name @returns {Assignment | null}
   */
  equation(layer, direction, name) {
    const {forward, backward} = this.#run(this.base, layer, direction, name).setting.program;
    return [...forward, ...backward].find(({left}) => left === name) ?? null;
  }

  /**
   * The names of a program's equations, in their order.
   * @param {number} layer @param {number} direction @param {boolean} backward
   */
  order(layer, direction, backward) {
    const {program} = this.#run(this.base, layer, direction, "").setting;
    return (backward ? program.backward : program.forward).map(({left}) => left);
  }

  /** What an equation takes. @param {number} layer @param {number} direction @param {string} name */
  inputs(layer, direction, name) {
    const equation = this.equation(layer, direction, name);
    return equation === null ? [] : symbolsOf(equation.right);
  }
}

/** @param {Edit} one @param {Edit} other */
function isSame(one, other) {
  return keyOf(one.ref) === keyOf(other.ref) && Object.is(one.value, other.value);
}

/** Which number is edited: inputs are those of both directions. @param {Ref} ref */
export function keyOf({layer, direction, name, step, at}) {
  return JSON.stringify([layer, name === "x" ? 0 : direction, name, step, at]);
}
