/** What flows through one unit in one step: read off the terms and factors of its equations. */
import {hidden} from "./predict.js";
import {termsOf} from "./terms.js";

/** @typedef {import("./store.js").State} State */
/** @typedef {import("./model.js").Model} Model */
/**
 * @typedef {object} Flow
 * @property {number} before the cell state that comes in
 * @property {number} candidate
 * @property {number | null} kept null where the equation is no such sum
 * @property {number | null} written
 * @property {number} cell
 * @property {number | null} squashed the cell state as the output gate sees it
 * @property {string} squash the name of the function between the two
 * @property {number} put what the unit puts out
 * @property {string} putName its name, which a projection sets apart from h
 */

/** The quantity that the output gate is a factor of. @param {Model} model @param {number} layer @param {number} direction */
function putNameOf(model, layer, direction) {
  /** @param {any} tree @returns {boolean} */
  const hasOutputGate = tree => tree.node === "product" && tree.factors.some((/** @type {any} */ one) => one.text === "o");
  const names = model.order(layer, direction, false);
  return names.find(name => hasOutputGate(model.equation(layer, direction, name)?.right ?? {})) ?? "h";
}

/** Whether a model has the parts that the stage shows. @param {Model} model @param {State} state */
export function hasFlow(model, {layer, direction}) {
  const names = model.order(layer, direction, false);
  return ["i", "f", "g", "o", "c"].every(name => names.includes(name));
}

/** Which of the stage's quantities must not be seen, since a number is asked for. @param {State} state
 * @returns {(...names: string[]) => boolean} whether one of these is among them */
export function askedOf(state) {
  const {layer, direction, step, unit} = state;
  if (state.answer === null) return () => false;
  return (...names) => names.some(name => hidden(state, {layer, direction, name, step, at: [unit]}));
}

/** @param {Model} model @param {State} state @returns {Flow} */
export function flowOf(model, {layer, direction, step, unit}) {
  const putName = putNameOf(model, layer, direction);
  /** @param {string} name */
  const value = name => model.value(layer, direction, name, step)[unit];
  /** @param {string} name */
  const terms = name => termsOf(model, {layer, direction, name, step, at: [unit]});
  const sum = terms("c");
  const kept = sum.find(term => term.factors.some(factor => factor.ref?.name === "c_prev"));
  const written = sum.find(term => term !== kept && term.factors.some(factor => factor.ref?.name === "g"));
  const squashed = terms(putName)[0]?.factors.find(factor => factor.ref?.name !== "o");
  return {
    before: value("c_prev"),
    candidate: value("g"),
    kept: kept?.value ?? null,
    written: written?.value ?? null,
    cell: value("c"),
    squashed: squashed?.value ?? null,
    squash: squashed?.tree.node === "call" ? squashed.tree.name : "",
    put: value(putName),
    putName,
  };
}
