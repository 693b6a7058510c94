/** Turning a valve: the bias of its gate becomes what opens the gate so far, and everything follows from that. */
import {changeNumber} from "./edits.js";
import {evaluate} from "../engine/evaluate.js";
import {figure} from "../engine/figures.js";
import {knownOf} from "../engine/terms.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").Ref} Ref */
/** @typedef {{from: number, ref: Ref, gate: Ref, input: Ref, call: any}} Lever */

const WIDEST = 40; // pre-activations are sought between this and its negative
const POINTS = 65;
const SHUT = 0.001; // a gate that is wholly shut or open would need an infinite bias

/** A parameter of one number a unit that is added in a formula. @param {any} tree @param {(name: string) => boolean} isOwn
 * @returns {string | null} */
function addedSymbol(tree, isOwn) {
  if (tree.node === "symbol") return isOwn(tree.text) ? tree.text : null;
  if (tree.node === "sum") {
    for (const term of tree.terms) {
      const found = addedSymbol(term, isOwn);
      if (found) return found;
    }
  }
  return tree.node === "call" && tree.name === "clip" ? addedSymbol(tree.arguments[0], isOwn) : null;
}

/**
 * The bias by which a gate of the chosen unit can be turned; null where the gate has none of its own.
 * @param {Page} page @param {string} name of the gate @returns {Lever | null}
 */
export function leverOf(page, name) {
  const {model, store} = page;
  const {layer, direction, step, unit} = store.state;
  const call = model.equation(layer, direction, name)?.right;
  const argument = call?.node === "call" ? call.arguments[0] : undefined;
  const inner = argument?.node === "symbol" ? argument.text : undefined;
  const sum = inner && model.equation(layer, direction, inner)?.right;
  if (!sum) return null;
  const {given} = model.layers[layer].cells[direction].program;
  const bias = addedSymbol(sum, symbol =>
    given.some(
      (/** @type {any} */ one) => one.symbol === symbol && one.kind === "parameter" && one.axes.join() === "units",
    ),
  );
  if (!bias) return null;
  const place = {layer, direction, at: [unit]};
  const ref = {...place, name: bias, step: null};
  return {ref, from: model.original(ref), gate: {...place, name, step}, input: {...place, name: inner, step}, call};
}

/** The pre-activation that opens a gate so far: where its nonlinearity, which rises, reaches that value.
 * @param {Page} page @param {Lever} lever @param {number} open */
function preactivationFor(page, lever, open) {
  let [low, high] = [-WIDEST, WIDEST];
  for (let round = 0; round < 4; round += 1) {
    const data = Float64Array.from({length: POINTS}, (_, k) => low + (k * (high - low)) / (POINTS - 1));
    const values = {[lever.input.name]: {shape: [POINTS], data}};
    const reached = evaluate(lever.call, values, knownOf(page.model, lever.ref)).data;
    const above = reached.findIndex(one => one >= open);
    if (above <= 0) return above < 0 ? high : low;
    [low, high] = [data[above - 1], data[above]];
  }
  return (low + high) / 2;
}

/**
 * Open a gate so far. The bias acts at every step, and through h also on this step's own sum; so this is exact where h
 * does not come back, and else as near as one correction comes.
 * @param {Page} page @param {string} name @param {number} open
 */
export function turnGate(page, name, open) {
  const lever = leverOf(page, name);
  if (!lever) return;
  const {model} = page;
  const target = preactivationFor(page, lever, Math.min(1 - SHUT, Math.max(SHUT, open)));
  const bias = model.number(lever.ref) + target - model.number(lever.input);
  if (Number.isFinite(bias)) changeNumber(page, lever.ref, Number(bias.toPrecision(4)));
}

/** What turning a valve did, in a sentence; "" where it did nothing. @param {Page} page @param {string} name
 * @param {string} words what the gate is called */
export function turnedSentence(page, name, words) {
  const lever = leverOf(page, name);
  if (!lever) return "";
  const now = page.model.number(lever.ref);
  if (now === lever.from) return "";
  return `The bias of the ${words} is now ${figure(now)} instead of ${figure(lever.from)}, at every step.`;
}
