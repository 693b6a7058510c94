/** The state as the URL's hash, and back: "v1", then names and values. Whatever does not fit the model is refused. */
import {openedRef} from "./detail.js";

const HASH_VERSION = "v1";
const LONGEST_OWN = 2000;
export const NOWHERE = "hash.nowhere";

const isOne = (/** @type {string} */ text) => text === "1";
const readName = matching(/^.{0,100}$/su);
const readDecimal = matching(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i);

/**
 * What an address holds: its name there, the part of the state, what is written of it, if anything, and how it is read.
 * @type {[string, keyof State, (state: State) => string | number | false | null, (text: string) => unknown][]}
 */
const FIELDS = [
  ["scene", "scene", ({scene}) => scene, readName],
  ["step", "step", ({step}) => step, wholeNumber],
  ["layer", "layer", ({layer}) => layer > 0 && layer, wholeNumber],
  ["direction", "direction", ({direction}) => direction > 0 && direction, wholeNumber],
  ["unit", "unit", ({unit}) => unit > 0 && unit, wholeNumber],
  ["show", "quantity", ({quantity}) => quantity, readName],
  ["level", "level", ({level}) => level !== "overview" && level, matching(/^(overview|step|number|product)$/)],
  ["name", "detail", ({level, detail}) => ["number", "product"].includes(level) && detail, readName],
  ["product", "product", ({product}) => product, wholeNumber],
  ["backward", "backward", ({backward}) => backward && 1, isOne],
  ["loss", "loss", ({backward, loss}) => backward && writtenLoss(loss), readLoss],
  ["scale", "logarithmic", state => state.backward && (state.logarithmic ? "log" : "linear"), text => text === "log"],
  ["chapter", "chapter", ({chapter}) => chapter, wholeNumber],
  ["begun", "begun", ({begun}) => begun && 1, isOne],
  ["progress", "progress", ({progress}) => progress !== "" && progress, matching(/^[rs-]{0,99}$/)],
  ["sorted", "sorted", ({sorted}) => sorted && 1, isOne],
  ["edits", "edits", ({edits, chapter}) => (edits.length > 0 || chapter !== null) && writtenEdits(edits), readEdits],
];

/** The hash of a state, without its "#"; whether it is playing is left out. @param {State} state */
export function encodeHash(state) {
  const pairs = [...FIELDS.map(([name, , write]) => [name, write(state)]), ...Object.entries(state.own)];
  const present = pairs.filter(([, value]) => value !== null && value !== false);
  return [HASH_VERSION, ...present.map(([name, value]) => `${name}=${legible(String(value))}`)].join("&");
}

/** A value as an address may have it; commas and brackets stay as they are. @param {string} value */
function legible(value) {
  return encodeURIComponent(value).replace(/%2C|%3B|%5B|%5D|%40/g, decodeURIComponent);
}

/** A function that takes a text of a pattern, and no other. @param {RegExp} pattern @returns {(text: string) => string} */
function matching(pattern) {
  return text => {
    if (!pattern.test(text)) throw new Error(`${text} is not as it should be`);
    return text;
  };
}

/** @param {string} text */
function wholeNumber(text) {
  return Number(matching(/^\d{1,9}$/)(text));
}

/** @param {Edit[]} edits */
function writtenEdits(edits) {
  const written = edits.map(({ref: {layer, direction, name, step, at}, value}) =>
    [layer, direction, encodeURIComponent(name), step ?? "", at.join("."), value].join(","),
  );
  return written.join(";");
}

/** @param {string} text @returns {Edit[]} */
function readEdits(text) {
  return text.split(";").filter(Boolean).map(readEdit);
}

/** @param {string} text @returns {Edit} */
function readEdit(text) {
  const [layer, direction, name, step, at, value, ...rest] = text.split(",");
  const number = Number(readDecimal(value));
  if (rest.length || !Number.isFinite(number)) throw new Error("no edit");
  const place = at === "" ? [] : at.split(".").map(wholeNumber);
  const when = step === "" ? null : wholeNumber(step);
  const called = decodeURIComponent(readName(name));
  const ref = {layer: wholeNumber(layer), direction: wholeNumber(direction), name: called, step: when, at: place};
  return {ref, value: number};
}

/** @param {NumberLoss} loss */
function writtenLoss({of, layer, direction, unit, step}) {
  return [of, layer, direction, unit, step].join(",");
}

/** @param {string} text @returns {NumberLoss} */
function readLoss(text) {
  const [of, ...places] = text.split(",");
  if ((of !== "h" && of !== "y" && of !== "error") || places.length !== 4) throw new Error("no loss");
  const [layer, direction, unit, step] = places.map(wholeNumber);
  return {of, layer, direction, unit, step};
}

/** The part of a state in an address; one that names no chapter or order has none.
 * @param {Map<string, string>} values @returns {Partial<State>} */
function readPairs(values) {
  const own = [...values].filter(([name]) => !FIELDS.some(([field]) => field === name));
  if (own.some(([, value]) => value.length > LONGEST_OWN)) throw new Error("too long");
  const written = FIELDS.filter(([name]) => values.has(name));
  const parts = written.map(([name, key, , read]) => [key, read(values.get(name) ?? "")]);
  return {chapter: null, sorted: false, ...Object.fromEntries(parts), own: Object.fromEntries(own)};
}

/** The scene that an address names, null for the first, and the text that is read there. @param {string} hash */
export function addressed(hash) {
  const read = decodeHash(hash);
  const {scene = null, chapter = null, own} = "state" in read ? read.state : {};
  return {scene, chapter, text: own?.text};
}

/** Whether two lists of edits are the same. @param {Edit[]} first @param {Edit[]} second */
export function sameEdits(first, second) {
  return JSON.stringify(first) === JSON.stringify(second);
}

/** Of edits of the same number the last. @param {Model} model @param {Edit[]} edits @returns {Edit[]} */
export function eachOnce(model, edits) {
  return [...new Map(edits.map(edit => [model.editKey(edit.ref), edit])).values()];
}

/**
 * The part of a state that a hash holds, or one sentence on why it holds none.
 * @param {string} hash with or without its "#" @returns {{state: Partial<State>} | {problem: string}}
 */
export function decodeHash(hash) {
  const [version, ...pairs] = hash.replace(/^#/, "").split("&");
  if (/^v\d+$/.test(version) && version !== HASH_VERSION) {
    return {problem: "hash.version"};
  }
  try {
    if (version !== HASH_VERSION) throw new Error("no version");
    const split = pairs.map(pair => /** @type {[string, string]} */ (pair.split(/=(.*)/s).slice(0, 2)));
    return {state: readPairs(new Map(split.map(([name, value]) => [name, decodeURIComponent(value ?? "")])))};
  } catch {
    return {problem: "hash.unread"};
  }
}

/** Whether a place is in a shape. @param {number[]} shape @param {number[]} at */
function isIn(shape, at) {
  return at.length === shape.length && at.every((index, axis) => index < shape[axis]);
}

/**
 * The first place in a part of a state that the model does not have, as a sentence, or null.
 * @param {Partial<State>} part @param {Model} model @param {boolean} sorts @param {number} chapters
 */
export function misfitOf(part, model, sorts, chapters) {
  /** @param {number} layer @param {number} direction @param {number} unit @param {number} step */
  const isThere = (layer, direction, unit, step) => {
    const cell = model.layers[layer]?.cells[direction];
    return cell !== undefined && unit < cell.hidden && step < model.steps;
  };
  const {layer = 0, direction = 0, unit = 0, step = 0, chapter, loss, edits = []} = part;
  if (!isThere(layer, direction, unit, step)) return NOWHERE;
  if (part.sorted && !sorts) return NOWHERE;
  if (chapter !== null && chapter !== undefined && chapter >= chapters) return NOWHERE;
  if (loss && loss.step >= model.steps) return NOWHERE;
  if (loss?.of === "h" && !isThere(loss.layer, loss.direction, loss.unit, loss.step)) return NOWHERE;
  if (loss?.of === "y" && (loss.unit >= model.outputs.length || loss.layer > model.layers.length)) return NOWHERE;
  try {
    const isMissing = (/** @type {Edit} */ {ref}) =>
      (ref.step ?? 0) >= model.steps || !model.isGiven(ref) || !isIn(model.shape(ref), ref.at);
    if (edits.some(isMissing)) return NOWHERE;
    if (part.detail !== undefined && !openedRef(model, {layer, direction, unit, step, detail: part.detail}))
      return NOWHERE;
  } catch {
    return NOWHERE;
  }
  return null;
}
