/** The sentences under the stage: what goes in, what happens, and what a gate's bias has become. */
import {figure} from "../engine/figures.js";
import {el} from "./dom.js";
import {askedOf, flowOf} from "./flow.js";
import {biasSentence} from "./gate_bias.js";
import {quantityName} from "./formulas.js";
import {encodeHash} from "./hash.js";
import {pagePhrase} from "./phrases.js";
import {momentOf, sentenceOf} from "./sentences.js";
import {originalState} from "./start.js";

/** @type {StageGate[]} */
export const GATES = ["input_gate", "forget_gate", "output_gate"];

/** The meaning of the pipes' looks where an amount is negative. @param {Page} page @param {State} state */
export function negativeNote(page, state) {
  const asked = askedOf(state);
  const pipes = Object.values(flowOf(page.model, state).pipes);
  if (!pipes.some(({value, tells}) => value !== null && value < 0 && !asked(...tells))) return "";
  return state.backward ? pagePhrase(page, "stage.blue") : pagePhrase(page, "stage.hatched");
}

/** The input of the step, where that is short. @param {Page} page @param {State} state */
export function inputSentence({model}, {layer, direction, step}) {
  const place = {layer, direction};
  const {features} = model.cell(place);
  if (features.length > 6) return [];
  const values = model.value({...place, name: model.roles(place).input, step});
  return features.flatMap((name, place) => [
    el("span", {class: "pair"}, name, " ", el("span", {class: "number"}, figure(values[place]))),
    " ",
  ]);
}

/** The walkthrough's sentence on the step; backward, on the gradient at the cell state. @param {Page} page
 * @param {State} state */
export function happening(page, state) {
  const {layer, direction, step, unit, backward} = state;
  const {model} = page;
  const {cell_gradient: gradient, ...roles} = model.roles(state);
  const {hidden_state: h, candidate: g, previous_cell_state: c} = roles;
  const gradients = [h, g, c].map(name => model.gradientName({layer, direction, name}) ?? "");
  const names = backward ? [...Object.values(roles), gradient, ...gradients] : Object.values(roles);
  if (page.doc.inputs.valid?.[step] === false) return pagePhrase(page, "stage.masked");
  const hidden = [...new Set(names)].filter(name => askedOf(state)(name));
  if (hidden.length) return pagePhrase(page, "stage.hidden", {names: hidden.join(", ")});
  return backward
    ? sentenceOf(page, {layer, direction, name: gradient, step}, [unit])
    : momentOf(page, {layer, direction, step, unit});
}

/** A sentence on the gate that the pointer or the focus is on: what turning it would change; else on the biases that
 * were changed. @param {Page} page @param {State} state @param {StageGate | null} regarded */
export function gateSentence(page, state, regarded) {
  const {layer, direction} = state;
  const roles = page.model.roles(state);
  const changes = GATES.map(gate => biasSentence(page, {layer, direction, name: roles[gate]})).filter(Boolean);
  if (changes.length || regarded === null) return changes.join(" ");
  return pagePhrase(page, "stage.turn", {gate: quantityName(page, {layer, direction, name: roles[regarded]})});
}

/** A function that says whether nothing has been done on the page yet. @param {Page} page @returns {(state: State) => boolean} */
export function untouchedOf(page) {
  const first = encodeHash(originalState(page));
  const {scene, file} = /** @type {Partial<SceneDocument>} */ (page.doc);
  let isUntouched = scene === "latch" && file === undefined;
  return state => {
    isUntouched &&= !state.playing && encodeHash(state) === first;
    return isUntouched;
  };
}
