/** The opened number: its reference, its name in the state and in words, and its symbol. */
import {el} from "./dom.js";
import {stepName} from "./quantities.js";
import {pagePhrase} from "./phrases.js";

/** A unit in words: its name, or "unit 3" where its name is its number. @param {Model} model @param {Place} place
 * @param {number} unit */
export function unitWords(model, place, unit) {
  const name = model.cell(place).units[unit] ?? String(unit);
  return /^\d+$/.test(name) ? pagePhrase(model, "entry.unit", {unit: name}) : name;
}

/** The name of an entry of a vector. @param {Model} model @param {Place} place @param {string} axis
 * @param {number} index @returns {string} */
export function nameAlong(model, place, axis, index) {
  if (model.isHead(place)) return nameInHead(model, axis, index);
  const {hidden, recurrent, features} = model.cell(place);
  switch (axis) {
    case "units":
      return unitWords(model, place, index);
    case "recurrent":
      return hidden === recurrent ? unitWords(model, place, index) : `h${index}`;
    case "features":
      return features[index] ?? `x${index}`;
    case "columns":
      return index < recurrent
        ? nameAlong(model, place, "recurrent", index)
        : nameAlong(model, place, "features", index - recurrent);
    default:
      return String(index);
  }
}

/** @param {Model} model @param {string} axis @param {number} index */
function nameInHead(model, axis, index) {
  const first = {layer: 0, direction: 0};
  const last = {layer: model.layers.length - 1, direction: 0};
  switch (axis) {
    case "outputs":
      return model.outputs[index] ?? pagePhrase(model, "entry.output", {unit: index});
    case "skipped":
      return nameAlong(model, first, "features", model.wiring.head?.skip === 1 ? 0 : index);
    case "merged":
      return model.layers[last.layer].cells.length === 1
        ? nameAlong(model, last, "recurrent", index)
        : pagePhrase(model, "entry.entry", {unit: index});
    default:
      return pagePhrase(model, "entry.unit", {unit: index});
  }
}

/** The name of a number in the state: the chosen unit's entry by its quantity alone, others as x[2], W_f[0,3],
 * y[1]@head. @param {Model} model @param {Ref} ref */
export function storedName(model, ref) {
  const entry = `${ref.name}[${ref.at.join(",")}]`;
  if (model.isHead(ref)) return `${entry}@head`;
  const axes = model.axes(ref);
  const isOfUnit = axes.length === 0 || (axes.length === 1 && axes[0] === "units");
  return isOfUnit ? ref.name : entry;
}

/** The number that is open in a state; null if the model has no such number. @param {Model} model
 * @param {Place & {step: number, unit: number, detail: string}} state @returns {Ref | null} */
export function openedRef(model, state) {
  const parts = /^([^[\]@]+)(?:\[([\d,]*)\])?(@head)?$/u.exec(state.detail);
  if (!parts || (parts[3] && !model.hasHead)) return null;
  const {layer, direction} = parts[3] ? {layer: model.layers.length, direction: 0} : state;
  const quantity = {layer, direction, name: parts[1]};
  if (!model.has(quantity)) return null;
  const shape = model.shape(quantity);
  const axes = model.axes(quantity);
  const chosen = axes.indexOf("units");
  const at =
    parts[2]?.split(",").filter(Boolean).map(Number) ?? shape.map((_, axis) => (axis === chosen ? state.unit : 0));
  if (at.length !== shape.length || at.some((n, axis) => n >= shape[axis])) return null;
  return {...quantity, at, step: model.isOverall(quantity) ? null : state.step};
}

/** Open a number. @param {Page} page @param {Ref} ref */
export function openNumber({model, store}, ref) {
  const {layer, direction} = ref;
  const inHead = model.isHead(ref);
  store.change({
    ...(inHead ? {} : {layer, direction}),
    ...(ref.step === null ? {} : {step: ref.step}),
    ...(!inHead && model.axes(ref)[0] === "units" ? {unit: ref.at[0]} : {}),
    level: "number",
    product: null,
    detail: storedName(model, ref),
    playing: false,
  });
}

/** Whether a number is of a masked step: the cell passes over it, and computes nothing. @param {Model} model @param {Ref} ref */
export function isMasked(model, ref) {
  return ref.step !== null && model.wiring.valid?.[ref.step] === 0 && !model.isHead(ref);
}

/** A key for a number, the same whenever it is shown. @param {Ref} ref */
export function refKey(ref) {
  return [ref.layer, ref.direction, ref.name, ref.step ?? "", ref.at.join(".")].join("|");
}

/** The class of a quantity's hue, or "". @param {Quantity} quantity */
export function hueOf({hue}) {
  return hue ? `quantity-${hue}` : "";
}

/** A symbol as text with its index below, for places that may hold no mathematics. @param {Quantity} quantity
 * @param {string} [below] another index */
export function symbolElement(quantity, below = quantity.below) {
  const {base, gradient_of: of} = quantity;
  return el(
    "span",
    {class: `symbol ${hueOf(quantity)}`.trim()},
    of === null ? null : "d",
    base.length > 1 ? base : el("i", {}, base),
    below ? el("sub", {}, below) : null,
  );
}

/** Text in which names of a cell's quantities, such as W_f and c_prev, are the symbols that are written elsewhere.
 * @param {Page} page @param {Place} place @param {string} text */
export function typeset({model}, {layer, direction}, text) {
  return text.split(/([\p{L}\d]+_(?:\{[^}]*\}|[\p{L}\d]+))/u).map((part, n) => {
    const ref = {layer, direction, name: part};
    return n % 2 && model.has(ref) ? symbolElement(model.quantity(ref)) : part;
  });
}

/** An entry of a quantity beside its symbol: "write", "latch, write", "". @param {Model} model @param {Ref} ref */
export function placeName(model, ref) {
  const axes = model.axes(ref);
  const recurrent = model.isHead(ref) ? 0 : model.cell(ref).recurrent;
  const names = ref.at.map((index, axis) => {
    const name = nameAlong(model, ref, axes[axis] ?? "", index);
    const isState = axis === 1 && axes[axis] === "columns" && index < recurrent;
    return isState && name !== `h${index}` ? `h(${name})` : name;
  });
  return names.join(", ");
}

/** The step of a number; "" where it has none, or the last alone. @param {Page} page @param {Ref} ref */
export function whenOf(page, ref) {
  const readsOnce = page.model.isHead(ref) && page.model.readsLast;
  return ref.step === null || readsOnce ? "" : stepName(page, ref.step);
}

/** A number in words: its quantity, entry and step. @param {Page} page @param {Ref} ref */
export function spokenName(page, ref) {
  return ref.name + placeAndStep(page, ref);
}

/** The entry and the step of a number in words. @param {Page} page @param {Ref} ref */
export function placeAndStep(page, ref) {
  const place = placeName(page.model, ref);
  const when = whenOf(page, ref);
  const parts = [place && pagePhrase(page, "detail.of", {place}), when && pagePhrase(page, "detail.at", {step: when})];
  return parts.map(part => part && ` ${part}`).join("");
}
