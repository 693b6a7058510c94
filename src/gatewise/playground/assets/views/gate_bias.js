/** Opening a gate by its bias: the bias becomes what opens the gate so far, and everything follows from that. */
import {evaluate} from "../engine/evaluate.js";
import {figure} from "../engine/figures.js";
import {knownOf} from "../engine/terms.js";
import {changeNumber, numberBefore} from "./edits.js";
import {quantityName} from "./formulas.js";
import {pagePhrase} from "./phrases.js";

/** @typedef {{from: number, ref: Ref, input: Ref, call: Tree}} Lever the bias, and the pre-activation that it is added to */

const WIDEST = 40; // pre-activations are sought between this and its negative
const POINTS = 65;
const SHUT = 0.001; // a gate that is wholly shut or open would need an infinite bias

/** A symbol that is added in a formula. @param {Tree} tree @param {(name: string) => boolean} isBias
 * @returns {string | undefined} */
function addedSymbol(tree, isBias) {
  if (tree.node === "symbol") return isBias(tree.text) ? tree.text : undefined;
  if (tree.node === "sum") return tree.terms.map(term => addedSymbol(term, isBias)).find(Boolean);
  return tree.node === "call" && tree.name === "clip" ? addedSymbol(tree.arguments[0], isBias) : undefined;
}

/** The bias that opens a gate of the chosen unit; null where the gate has none. @param {Page} page @param {NameRef} gate
 * @returns {Lever | null} */
export function leverOf(page, {layer, direction, name}) {
  const {model} = page;
  const {step, unit} = page.store.state;
  const place = {layer, direction};
  const call = model.equation({...place, name})?.right;
  const argument = call?.node === "call" ? call.arguments[0] : undefined;
  const sum = argument?.node === "symbol" ? model.equation({...place, name: argument.text})?.right : undefined;
  if (!call || argument?.node !== "symbol" || !sum) return null;
  const bias = addedSymbol(sum, symbol => {
    const given = model.given({...place, name: symbol});
    return given?.kind === "parameter" && given.axes.join() === "units";
  });
  if (!bias) return null;
  const ref = {...place, name: bias, step: null, at: [unit]};
  return {ref, from: numberBefore(page, ref), input: {...place, name: argument.text, step, at: [unit]}, call};
}

/** The pre-activation that opens a gate so far: where its nonlinearity, which rises, reaches that value.
 * @param {Page} page @param {Lever} lever @param {number} openness */
function preactivationFor(page, lever, openness) {
  let [low, high] = [-WIDEST, WIDEST];
  for (let round = 0; round < 4; round += 1) {
    const data = Float64Array.from({length: POINTS}, (_, k) => low + (k * (high - low)) / (POINTS - 1));
    const values = {[lever.input.name]: {shape: [POINTS], data}};
    const reached = evaluate(lever.call, values, knownOf(page.model, lever.ref)).data;
    const above = reached.findIndex(value => value >= openness);
    if (above <= 0) return above < 0 ? high : low;
    [low, high] = [data[above - 1], data[above]];
  }
  return (low + high) / 2;
}

/**
 * Open a gate so far. The bias acts at every step, and through h also on this step's own sum; so this is exact where h
 * does not come back, and else as near as one correction comes.
 * @param {Page} page @param {NameRef} gate @param {number} openness
 */
export function openGate(page, gate, openness) {
  const lever = leverOf(page, gate);
  if (!lever) return;
  const {model} = page;
  const target = preactivationFor(page, lever, Math.min(1 - SHUT, Math.max(SHUT, openness)));
  const bias = model.number(lever.ref) + target - model.number(lever.input);
  if (Number.isFinite(bias)) changeNumber(page, lever.ref, Number(bias.toPrecision(4)));
}

/** The change of a gate's bias in a sentence; "" where there is none. @param {Page} page @param {NameRef} gate */
export function biasSentence(page, gate) {
  const lever = leverOf(page, gate);
  const bias = lever && page.model.number(lever.ref);
  if (!lever || bias === null || bias === lever.from) return "";
  const numbers = {value: figure(bias), before: figure(lever.from)};
  return pagePhrase(page, "bias.changed", {gate: quantityName(page, gate), ...numbers});
}
