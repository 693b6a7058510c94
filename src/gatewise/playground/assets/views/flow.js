/** What flows through one unit in one step, forward or backward: read off the terms and factors of its equations. */
import {cellStateOf} from "../engine/cell_state.js";
import {hidden} from "./visibility.js";
import {termsOf} from "../engine/terms.js";

/** @typedef {import("./store.js").State} State */
/** @typedef {import("../engine/model.js").Model} Model */
/** @typedef {import("../engine/terms.js").Term} Term */
/** @typedef {keyof import("./layouts.js").Layout["pipes"]} Pipe */
/** @typedef {{value: number | null, tells: string[]}} Amount null where the equation has no such part; and what it tells */
/**
 * @typedef {object} Flow
 * @property {Record<Pipe, Amount>} pipes
 * @property {Record<"g" | "c_prev" | "c" | "h", string>} names what stands at the ends of the pipes, in the tank and the gauge
 * @property {{kept: Amount, written: Amount} | null} notes what is behind the valves
 * @property {string} squash the function between the cell state and what is put out
 */

/** The quantity that the output gate is a factor of, which a projection sets apart from h. @param {Model} model
 * @param {number} layer @param {number} direction */
function putNameOf(model, layer, direction) {
  /** @param {any} tree @returns {boolean} */
  const hasOutputGate = tree =>
    tree.node === "product" && tree.factors.some((/** @type {any} */ one) => one.text === "o");
  const names = model.order(layer, direction, false);
  return names.find(name => hasOutputGate(model.equation(layer, direction, name)?.right ?? {})) ?? "h";
}

/** Whether a model has the parts that the stage shows. @param {Model} model @param {State} state */
export function hasFlow(model, {layer, direction}) {
  const names = model.order(layer, direction, false);
  return ["i", "f", "g", "o", "c"].every(name => names.includes(name));
}

/** Which quantities must not be seen, since a number is asked for. @param {State} state
 * @returns {(...names: string[]) => boolean} whether one of these is among them */
export function askedOf(state) {
  const {layer, direction, step, unit} = state;
  if (state.answer === null) return () => false;
  return (...names) => names.some(name => hidden(state, {layer, direction, name, step, at: [unit]}));
}

/** @param {Model} model @param {State} state @returns {Flow} */
export function flowOf(model, state) {
  const {layer, direction, step, unit} = state;
  const put = putNameOf(model, layer, direction);
  /** @param {string} name @returns {Amount} */
  const amount = name => ({value: model.value(layer, direction, name, step)[unit], tells: [name]});
  /** @param {string} name */
  const terms = name => termsOf(model, {layer, direction, name, step, at: [unit]});
  const cell = cellStateOf(model, layer, direction);
  return state.backward ? backwardFlow(put, cell.gradient, amount, terms) : forwardFlow(put, cell.sum, amount, terms);
}

/** A factor's quantity among those of a term. @param {string} name */
function hasFactor(name) {
  return (/** @type {Term} */ term) => term.factors.some(factor => factor.ref?.name === name);
}

/** @param {string} put @param {string} inner @param {(name: string) => Amount} amount @param {(name: string) => Term[]} terms
 * @returns {Flow} */
function forwardFlow(put, inner, amount, terms) {
  const sum = terms(inner);
  const keeps = sum.find(hasFactor("c_prev"));
  const writes = sum.find(term => term !== keeps && hasFactor("g")(term));
  const squashed = terms(put)[0]?.factors.find(factor => factor.ref?.name !== "o");
  const kept = {value: keeps?.value ?? null, tells: ["f", "c_prev", inner]};
  const written = {value: writes?.value ?? null, tells: ["i", "g", inner]};
  const cell = amount("c");
  return {
    pipes: {
      before: amount("c_prev"),
      candidate: amount("g"),
      kept,
      written,
      into: cell,
      out: cell,
      squashed: {value: squashed?.value ?? null, tells: ["c", put]},
      put: amount(put),
    },
    names: {g: "g", c_prev: "c_prev", c: "c", h: put},
    notes: {kept, written},
    squash: squashed?.tree.node === "call" ? squashed.tree.name : "",
  };
}

/**
 * The same pipes with gradients, which go through the same valves the other way.
 * @param {string} put @param {string} dc @param {(name: string) => Amount} amount @param {(name: string) => Term[]} terms
 * @returns {Flow}
 */
function backwardFlow(put, dc, amount, terms) {
  const arriving = terms(dc).find(hasFactor(`d${put}`));
  const letIn = arriving?.factors.filter(factor => factor.ref && ["o", `d${put}`].includes(factor.ref.name));
  const squashed = letIn?.reduce((product, factor) => product * factor.value, 1);
  const squash = terms(put)[0]?.factors.find(factor => factor.ref?.name !== "o");
  const cell = amount(dc);
  const gradient = amount(`d${put}`);
  return {
    pipes: {
      put: gradient,
      squashed: {value: squashed ?? null, tells: ["o", dc, `d${put}`]},
      out: {value: arriving?.value ?? null, tells: [dc, `d${put}`]},
      into: cell,
      kept: cell,
      written: cell,
      before: amount("dc_prev"),
      candidate: amount("dg"),
    },
    names: {g: "dg", c_prev: "dc_prev", c: dc, h: `d${put}`},
    notes: null,
    squash: squash?.tree.node === "call" ? squash.tree.name : "",
  };
}
