/** The parts of the stage that belong to what is open: the way of a number, or of one of its products. */
import {openedRef} from "./detail.js";
import {litBy} from "./products.js";

/** @type {Record<string, string[]>} by the hue of a quantity, and backward by that of what its gradient is of */
const PARTS_OF_HUE = {
  i: ["input_gate", "into input_gate"],
  f: ["forget_gate", "into forget_gate"],
  g: ["candidate", "into candidate"],
  o: ["output_gate", "into output_gate"],
  c: ["tank", "into"],
  h: ["output", "gauge"],
};

/** The parts of one quantity. @param {Page} page @param {Ref} ref @param {number} step the chosen one */
function partsOf({model}, ref, step) {
  const roles = model.roles(ref);
  const quantity = model.quantity(ref);
  const name = quantity.gradient_of ?? ref.name;
  const isEarlier = ref.step !== null && ref.step !== step;
  if (name === roles.input) return ["input"];
  if (name === roles.previous_hidden_state || (isEarlier && name === roles.hidden_state)) return ["recurrent"];
  if (name === roles.previous_cell_state || (isEarlier && name === roles.cell_state)) return ["before"];
  if (isEarlier) return [];
  return PARTS_OF_HUE[quantity.hue ?? ""] ?? [];
}

/** The parts of a weight's or a bias's source. @param {Page} page @param {Ref} ref */
function sourcesOf({model}, ref) {
  const {hue} = model.quantity(ref);
  if (!hue || !"ifgo".includes(hue)) return [];
  if (ref.step !== null) return ["input", "recurrent"];
  if (ref.at.length < 2) return [];
  return [ref.at[1] < model.cell(ref).recurrent ? "recurrent" : "input"];
}

/** The lit parts. @param {Page} page @param {State} state @returns {Set<string>} */
export function litParts(page, state) {
  const {layer, direction, step, level} = state;
  const isOpen = level === "number" || level === "product";
  const ref = isOpen ? openedRef(page.model, state) : null;
  if (!ref || ref.layer !== layer || ref.direction !== direction) return new Set();
  const factors = [...litBy(page, state).values()].filter(lamp => lamp.layer === layer && lamp.direction === direction);
  const others = level === "product" ? factors.flatMap(lamp => partsOf(page, lamp, step)) : sourcesOf(page, ref);
  return new Set([...partsOf(page, ref, step), ...others]);
}
