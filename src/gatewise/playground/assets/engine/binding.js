/** A program with places for its values: every formula compiled, every quantity with room for every step. */

import {sizeOf} from "./arrays.js";
import {copyTo} from "./functions.js";
import {compile, definitions} from "./evaluate.js";
import {operation, slotOf} from "./operations.js";
import {symbolsOf} from "./trees.js";

export class Binding {
  /** @param {Setting} setting */
  constructor(setting) {
    const {program} = setting;
    this.setting = setting;
    this.at = 0;
    /** @type {Map<string, Slot>} */
    this.slots = new Map();
    /** @type {Slot[]} */
    this.moving = []; // slots that stand elsewhere at every step
    /** @type {Set<Slot>} */
    this.varying = new Set();
    this.outside = new Set(); // names that neither a state nor a parameter is part of
    /** @type {(() => void)[]} */
    this.once = [];
    /** @type {KnownProducts[]} */
    this.ahead = [];
    this.used = new Set([...program.forward, ...program.backward].flatMap(({right}) => symbolsOf(right)));
    for (const given of program.given) this.#give(given);
    this.forward = this.#compile(program.forward);
    this.backward = this.#compile(program.backward);
    this.carry = program.carry.map(carry => this.#carried(carry, null));
    // At a step that takes no part the output is the state that was handed on: so is its gradient.
    const {quantities} = program;
    const {hidden_state: hidden, output_gradient: arriving} = quantities.roles;
    const before = program.carry.find(({source}) => source === hidden)?.into;
    this.carryBack = program.carry_backward.map(carry => {
      const isOfHidden = before !== undefined && carry.source === quantities.gradient(before);
      return this.#carried(carry, isOfHidden ? arriving : null);
    });
  }

  /** @param {Given} given */
  #give({symbol, axes, kind}) {
    const {constants, rows, sizes, steps} = this.setting;
    if (kind === "input" || kind === "mask") this.outside.add(symbol);
    if (Object.hasOwn(constants, symbol)) {
      this.slots.set(symbol, slotOf(constants[symbol].shape, constants[symbol].data));
      return;
    }
    const size = rows[symbol]?.size ?? sizeOf(axes.map(axis => sizes[axis]));
    if (!(size >= 0)) throw new Error(`nothing is known of the size of ${symbol}`);
    this.#store(symbol, slotOf([size]), rows[symbol]?.data ?? new Float64Array(steps * size));
  }

  /** Let a name have a place for every step. @param {string} name @param {Slot} slot @param {Float64Array} data */
  #store(name, slot, data) {
    slot.data = data;
    this.moving.push(slot);
    this.varying.add(slot);
    this.slots.set(name, slot);
  }

  /** @param {Assignment[]} assignments @returns {Map<string, CompiledQuantity>} */
  #compile(assignments) {
    const quantities = new Map();
    /** @type {Scope} */
    const scope = {
      slot: name => this.slot(name),
      varies: name => this.varying.has(this.slot(name)),
      once: this.once,
      definition: definitions(this.setting.program.nonlinearities),
      sizes: this.setting.sizes,
      blocks: (left, right, rows, columns) => this.#blocks(left, right, rows, columns, assignments, scope),
    };
    for (const {left, right, sums} of assignments) {
      const op = withSlot(compile(right, scope), scope),
        {slot} = op,
        isVector = slot.shape.length < 2;
      const stored = isVector && (this.setting.lean?.has(left) ?? true);
      if (symbolsOf(right).every(name => this.outside.has(name))) this.outside.add(left);
      if (stored) this.#store(left, slot, new Float64Array(this.setting.steps * slot.size));
      this.slots.set(left, slot);
      this.varying.add(slot);
      quantities.set(left, {op, run: op.run, always: isVector || this.used.has(left), stored, sums});
    }
    return quantities;
  }

  /** @param {string} name */
  slot(name) {
    const slot = this.slots.get(name);
    if (slot === undefined) throw new Error(`nothing is known of ${name}`);
    return slot;
  }

  /** @param {Carry} carry @param {string | null} passed @returns {Carried} */
  #carried({into, source}, passed) {
    const slot = this.slot(into);
    const last = new Float64Array(slot.size),
      added = passed === null ? null : this.slot(passed);
    return {name: into, into: slot, source: this.slot(source), last, passed: added};
  }

  /**
   * The columns of a matrix that meet one part of a stack each; products of those that no state is part of are kept.
   * @param {Tree} left @param {Tree} right @param {number} rows @param {number} columns
   * @param {Assignment[]} assignments @param {Scope} scope @returns {Block[]}
   */
  #blocks(left, right, rows, columns, assignments, scope) {
    const stack =
      right.node === "symbol" ? (assignments.find(({left: name}) => name === right.text)?.right ?? right) : right;
    const parts = stack.node === "stack" ? stack.parts : [right],
      names = symbolsOf(left),
      {steps} = this.setting;
    let first = 0;
    return parts.map(part => {
      const count = parts.length === 1 ? columns : compile(part, {...scope, once: []}).slot.size;
      const block = {first, count, known: /** @type {Block["known"]} */ (null)};
      first += count;
      const isOutside = symbolsOf(part).every(name => this.outside.has(name)) && !names.some(scope.varies);
      if (this.setting.lean || !isOutside) return block;
      const ready = new Uint8Array(steps),
        data = new Float64Array(steps * rows);
      const byRow = right.node === "symbol" && isRowByRow(left);
      /** @type {KnownProducts} */
      const known = {names, ready, data, at: () => this.at, again: null, byRow};
      this.ahead.push(known);
      return {...block, known};
    });
  }

  /** Let every name stand for its value at a step. @param {number} step */
  moveTo(step) {
    this.at = step;
    for (const slot of this.moving) slot.offset = step * slot.size;
  }

  /** Take over what another binding of the same program is given and has computed forward. @param {Binding} other */
  copyFrom(other) {
    const gradients = this.setting.program.given.filter(({kind}) => kind === "gradient").map(({symbol}) => symbol);
    for (const [name, slot] of this.slots) {
      if (!this.backward.has(name) && !gradients.includes(name)) slot.data.set(other.slot(name).data);
    }
    this.ahead.forEach(({ready, data}, n) => {
      ready.set(other.ahead[n].ready);
      data.set(other.ahead[n].data);
    });
    this.carry.forEach(({last}, n) => last.set(other.carry[n].last));
  }
}

/** Whether each row of a matrix depends on the same rows of others. @param {Tree} tree @returns {boolean} */
function isRowByRow(tree) {
  return tree.node === "symbol" || (tree.node === "product" && tree.factors.every(isRowByRow));
}

/**
 * An operation with a slot: a copy, where a formula is a symbol alone.
 * @param {Op} op @param {Scope} scope @returns {Op}
 */
function withSlot(op, scope) {
  if (op.run !== null) return op;
  const slot = slotOf(op.slot.shape);
  return operation(scope, [op], slot, () => copyTo(slot, op.slot));
}
