/** Which number is open: how the store names it, what it is called, and how its symbol is set. */
import {el} from "./dom.js";
import {stepName} from "./quantities.js";

/** @typedef {import("./store.js").Ref} Ref */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("../engine/model.js").Model} Model */

/** Whether a place is the head, behind the last layer. @param {Model} model @param {number} layer */
export function isHead(model, layer) {
  return layer === model.layers.length;
}

/** What a program is given. @param {Model} model @param {number} layer @param {number} direction
 * @returns {import("../engine/binding.js").Given[]} */
export function givensOf({layers, wiring}, layer, direction) {
  return (layers[layer]?.cells[direction] ?? wiring.head ?? {program: wiring.merges[layer - 1]}).program.given;
}

/** What a quantity is given as: the entry of the program, or undefined for what is computed.
 * @param {Model} model @param {number} layer @param {number} direction @param {string} name
 * @returns {{symbol: string, axes: string[], kind: string} | undefined} */
export function givenOf(model, layer, direction, name) {
  return givensOf(model, layer, direction).find(one => one.symbol === name);
}

/** What the axes of a quantity run over.
 * @param {Model} model @param {number} layer @param {number} direction @param {string} name @returns {string[]} */
export function axesOf(model, layer, direction, name) {
  const equation = model.equation(layer, direction, name);
  return equation ? equation.axes : (givenOf(model, layer, direction, name)?.axes ?? []);
}

/** Whether a quantity has one value for all steps: a parameter, or its gradient, which is a sum over them.
 * @param {Model} model @param {number} layer @param {number} direction @param {string} name */
export function isOverall(model, layer, direction, name) {
  const equation = model.equation(layer, direction, name);
  return equation ? equation.sums : givenOf(model, layer, direction, name)?.kind === "parameter";
}

/** What a unit is called: its name, or "unit 3" where its name is its number.
 * @param {Model} model @param {number} layer @param {number} direction @param {number} unit */
export function unitWords(model, layer, direction, unit) {
  const name = model.layers[layer].cells[direction].units[unit] ?? String(unit);
  return /^\d+$/.test(name) ? `unit ${name}` : name;
}

/** The name of an entry of a vector.
 * @param {Model} model @param {number} layer @param {number} direction @param {string} axis @param {number} index @returns {string} */
export function nameAlong(model, layer, direction, axis, index) {
  if (isHead(model, layer)) {
    if (axis === "outputs") return model.outputs[index] ?? `output ${index}`;
    if (axis === "skipped") return nameAlong(model, 0, 0, "features", model.wiring.head?.skip === 1 ? 0 : index);
    return axis === "merged" ? mergedName(model, index) : `unit ${index}`;
  }
  const {hidden, recurrent, features} = model.layers[layer].cells[direction];
  switch (axis) {
    case "units":
      return unitWords(model, layer, direction, index);
    case "recurrent":
      return hidden === recurrent ? unitWords(model, layer, direction, index) : `h${index}`;
    case "features":
      return features[index] ?? `x${index}`;
    case "columns":
      return index < recurrent
        ? nameAlong(model, layer, direction, "recurrent", index)
        : nameAlong(model, layer, direction, "features", index - recurrent);
    default:
      return String(index);
  }
}

/** @param {Model} model @param {number} index */
function mergedName(model, index) {
  const layer = model.layers.length - 1;
  const {cells} = model.layers[layer];
  return cells.length === 1 ? nameAlong(model, layer, 0, "recurrent", index) : `entry ${index}`;
}

/** How the store names a number: the entry of the chosen unit by its name alone, others as x[2], W_f[0,3], y[1]@head.
 * @param {Model} model @param {Ref} ref */
export function storedName(model, ref) {
  const axes = axesOf(model, ref.layer, ref.direction, ref.name);
  if (isHead(model, ref.layer)) return `${ref.name}[${ref.at.join(",")}]@head`;
  const plain = axes.length === 0 || (axes.length === 1 && axes[0] === "units");
  return plain ? ref.name : `${ref.name}[${ref.at.join(",")}]`;
}

/** The number that the state says is open, or null if the model has no such number.
 * @param {Model} model @param {State} state @returns {Ref | null} */
export function openedRef(model, state) {
  const found = /^([^[\]@]+)(?:\[([\d,]*)\])?(@head)?$/u.exec(state.name);
  if (!found || (found[3] && !model.hasHead)) return null;
  const [layer, direction] = found[3] ? [model.layers.length, 0] : [state.layer, state.direction];
  const name = found[1];
  if (name === "y" && !found[3]) return null; // what a layer hands on is h of its cells
  try {
    const shape = model.shape(layer, direction, name);
    if (!givenOf(model, layer, direction, name) && !model.equation(layer, direction, name)) return null;
    const axes = axesOf(model, layer, direction, name);
    const at =
      found[2] === undefined
        ? shape.map((_, axis) => (axes[axis] === "units" && !axes.slice(0, axis).includes("units") ? state.unit : 0))
        : found[2].split(",").filter(Boolean).map(Number);
    if (at.length !== shape.length || at.some((one, axis) => one >= shape[axis])) return null;
    return {layer, direction, name, at, step: isOverall(model, layer, direction, name) ? null : state.step};
  } catch {
    return null;
  }
}

/** Open a number: the store's state with it open.
 * @param {Page} page @param {Ref} ref */
export function openNumber(page, ref) {
  const {model, store} = page;
  const axes = axesOf(model, ref.layer, ref.direction, ref.name);
  const unit = !isHead(model, ref.layer) && axes[0] === "units" ? {unit: ref.at[0]} : {};
  const place = isHead(model, ref.layer) ? {} : {layer: ref.layer, direction: ref.direction};
  const step = ref.step === null ? {} : {step: ref.step};
  store.change({
    ...place,
    ...step,
    ...unit,
    level: "number",
    product: null,
    name: storedName(model, ref),
    playing: false,
  });
}

/** Whether a number is of a step that is masked: the cell passes over it, and computes nothing.
 * @param {Model} model @param {Ref} ref */
export function isMasked(model, ref) {
  return ref.step !== null && model.wiring.valid?.[ref.step] === 0 && !isHead(model, ref.layer);
}

/** A key for a number, the same whenever it is shown. @param {Ref} ref */
export function refKey(ref) {
  return [ref.layer, ref.direction, ref.name, ref.step ?? "", ref.at.join(".")].join("|");
}

/** Whether a quantity is the gradient of another. @param {string} name */
export function isGradient(name) {
  return name.length > 1 && name.startsWith("d") && name !== "d";
}

/** The letter of a symbol and what stands below it. @param {string} name @returns {[string, string]} */
function symbolParts(name) {
  const plain = isGradient(name) ? name.slice(1) : name;
  const [base, ...below] = plain.split("_");
  return [base, below.join("_").replace(/[{}]/g, "").replaceAll(",", " ")];
}

/** The class of a quantity's hue, or "". @param {string} name */
export function hueOf(name) {
  const [base, below] = symbolParts(name);
  if (/^[ifgoch]$/.test(base)) return `quantity-${base}`;
  const gate = base === "mask" || base === "k" ? "" : below.split(" ")[0].slice(-1);
  return /^[ifgo]$/.test(gate) ? `quantity-${gate}` : "";
}

/** A symbol as text with its index below, for places that may hold no mathematics. @param {string} name */
export function symbolElement(name) {
  const [base, below] = symbolParts(name);
  const upright = base.length > 1;
  return el(
    "span",
    {class: `symbol ${hueOf(name)}`.trim()},
    isGradient(name) ? "d" : null,
    upright ? base : el("i", {}, base),
    below ? el("sub", {}, below) : null,
  );
}

/** What an entry of a quantity is called beside its symbol: "write", "latch, write", "". @param {Model} model @param {Ref} ref */
export function placeName(model, ref) {
  const axes = axesOf(model, ref.layer, ref.direction, ref.name);
  const name = (/** @type {string} */ axis, /** @type {number} */ index) =>
    nameAlong(model, ref.layer, ref.direction, axis, index);
  const recurrent = isHead(model, ref.layer) ? 0 : model.layers[ref.layer].cells[ref.direction].recurrent;
  return ref.at
    .map((index, axis) => {
      const own = name(axes[axis] ?? "", index);
      return axis === 1 && axes[axis] === "columns" && index < recurrent && !/^h\d+$/.test(own) ? `h(${own})` : own;
    })
    .join(", ");
}

/** The step of a number; "" where it is of no single one, or of the last alone. @param {Page} page @param {Ref} ref */
export function whenOf(page, ref) {
  const readsOnce = isHead(page.model, ref.layer) && page.model.readsLast;
  return ref.step === null || readsOnce ? "" : stepName(page, ref.step);
}

/** A number in words: its quantity, entry and step. @param {Page} page @param {Ref} ref */
export function spokenName(page, ref) {
  const place = placeName(page.model, ref);
  const when = whenOf(page, ref);
  return [ref.name, place && ` of ${place}`, when && ` at ${when}`].join("");
}
