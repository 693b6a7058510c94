/** The state as the URL's hash, and back: "v1", then names and values. Whatever does not fit the model is refused. */
import {openedRef} from "./detail.js";

const HASH_VERSION = "v1";
const LEVELS = ["overview", "step", "number", "product"];
const LONGEST = 100; // characters of a name
const LONGEST_OWN = 2000;
const NAMES = new Set(
  "scene step layer direction unit show level name product backward loss scale chapter progress sorted edits".split(
    " ",
  ),
);
export const NOWHERE = "hash.nowhere";

/** @param {Edit} edit */
function writtenEdit({ref, value}) {
  const step = ref.step === null ? "" : ref.step;
  return [ref.layer, ref.direction, encodeURIComponent(ref.name), step, ref.at.join("."), value].join(",");
}

/** The hash of a state, without its "#"; whether it is playing is left out. @param {State} state */
export function encodeHash(state) {
  const {loss} = state;
  /** @type {[string, string | number | null][]} */
  const pairs = [
    ["scene", state.scene],
    ["step", state.step],
    ["layer", state.layer || null],
    ["direction", state.direction || null],
    ["unit", state.unit || null],
    ["show", state.quantity],
    ["level", state.level === "overview" ? null : state.level],
    ["name", state.level === "number" || state.level === "product" ? state.detail : null],
    ["product", state.product],
    ["backward", state.backward ? 1 : null],
    ["loss", state.backward ? [loss.of, loss.layer, loss.direction, loss.unit, loss.step].join(",") : null],
    ["scale", state.backward ? (state.logarithmic ? "log" : "linear") : null],
    ["chapter", state.chapter],
    ["progress", state.progress || null],
    ["sorted", state.sorted ? 1 : null],
    ["edits", state.edits.length || state.chapter !== null ? state.edits.map(writtenEdit).join(";") : null],
    ...Object.entries(state.own),
  ];
  const present = pairs.filter(([, value]) => value !== null);
  return [HASH_VERSION, ...present.map(([name, value]) => `${name}=${legible(String(value))}`)].join("&");
}

/** A value as an address may have it; commas and brackets stay as they are. @param {string} value */
function legible(value) {
  return encodeURIComponent(value).replace(/%2C|%3B|%5B|%5D|%40/g, decodeURIComponent);
}

/** @param {string} text */
function wholeNumber(text) {
  if (!/^\d{1,9}$/.test(text)) throw new Error("not a whole number");
  return Number(text);
}

/** @param {string} text @returns {Edit} */
function readEdit(text) {
  const [layer, direction, name, step, at, value, ...rest] = text.split(",");
  const number = Number(value);
  if (rest.length || !value || !Number.isFinite(number) || !name || name.length > LONGEST) throw new Error("no edit");
  const place = at === "" ? [] : at.split(".").map(wholeNumber);
  const when = step === "" ? null : wholeNumber(step);
  const called = decodeURIComponent(name);
  const ref = {layer: wholeNumber(layer), direction: wholeNumber(direction), name: called, step: when, at: place};
  return {ref, value: number};
}

/** @param {string} text @returns {NumberLoss} */
function readLoss(text) {
  const [of, ...places] = text.split(",");
  if ((of !== "h" && of !== "y" && of !== "error") || places.length !== 4) throw new Error("no loss");
  const [layer, direction, unit, step] = places.map(wholeNumber);
  return {of, layer, direction, unit, step};
}

/** @param {Map<string, string>} values @returns {Partial<State>} */
function readPairs(values) {
  /** @param {string} name */
  const integer = name => wholeNumber(values.get(name) ?? "0");
  const level = values.get("level") ?? "overview";
  const words = [values.get("show") ?? "", values.get("name") ?? "", values.get("scene") ?? ""];
  const own = [...values].filter(([name]) => !NAMES.has(name));
  if (own.some(([, value]) => value.length > LONGEST_OWN)) throw new Error("too long");
  const progress = /^[rs-]{0,99}$/.exec(values.get("progress") ?? "")?.[0];
  if (!LEVELS.includes(level) || words.some(word => word.length > LONGEST)) throw new Error("no level or name");
  if (progress === undefined) throw new Error("no progress");
  const edits = values.get("edits");
  const loss = values.get("loss");
  return {
    ...(values.has("scene") ? {scene: words[2]} : {}),
    step: integer("step"),
    layer: integer("layer"),
    direction: integer("direction"),
    unit: integer("unit"),
    ...(words[0] ? {quantity: words[0]} : {}),
    level: /** @type {State["level"]} */ (level),
    ...(words[1] ? {detail: words[1]} : {}),
    product: values.has("product") ? integer("product") : null,
    backward: values.get("backward") === "1",
    ...(loss ? {loss: readLoss(loss)} : {}),
    chapter: values.has("chapter") ? integer("chapter") : null,
    progress,
    sorted: values.get("sorted") === "1",
    ...(values.has("scale") ? {logarithmic: values.get("scale") === "log"} : {}),
    ...(edits === undefined ? {} : {edits: edits ? edits.split(";").map(readEdit) : []}),
    own: Object.fromEntries(own),
  };
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
