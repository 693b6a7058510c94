/**
 * The walkthrough's sentences, from the document: what is said of one unit is the first case that holds of each part,
 * and of many units the extremes are said. Cases hold where their formula is not 0.
 */
import {evaluate} from "../engine/evaluate.js";
import {figure, percent} from "../engine/figures.js";
import {programOf} from "./formulas.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("../engine/trees.js").Tree} Tree */
/** @typedef {{words: string, when?: number}} Case */
/** @typedef {{of: string, variables: Record<string, Tree>, parts: Case[][], what: string, begins: boolean}} Saying */
/** @typedef {{most: number, listed: string, unfinite: string, alike: string, extremes: string}} Each */
/** @typedef {{unfinite: string, none: string, largest: string, of: [string, string][]}} OfWeights */
/**
 * @typedef {{each: Each, sayings: Record<string, Saying | {words: string}>, of: Record<string, string>, moment: Saying, carried: Saying & {from: string},
 *   conditions: Tree[], weights: OfWeights, names: Record<string, string>, gates: [string, string][], formula: string,
 *   source: any}} Words
 */
/** @typedef {{page: Page, layer: number, direction: number, step: number, words: Words}} Place */

/** @param {Page} page @param {number} layer @param {number} direction @returns {Words | null} */
function wordsOf(page, layer, direction) {
  return page.doc.words[programOf(page, layer, direction)] ?? null;
}

/** The values of a saying's variables, of one unit. @param {Place} place @param {Saying} saying @param {number} unit
 * @returns {Record<string, number>} */
function knownOfUnit({page, layer, direction, step}, saying, unit) {
  /** @type {Record<string, number>} */
  const found = {};
  for (const [name, tree] of Object.entries(saying.variables)) {
    found[name] = scalar(tree, symbol => {
      const values = page.model.value(layer, direction, symbol, step);
      return values[page.model.shape(layer, direction, symbol).length ? unit : 0];
    });
  }
  return found;
}

/** The value of a tree of single numbers. @param {Tree} tree @param {(name: string) => number} value */
function scalar(tree, value) {
  /** @type {Record<string, number>} */
  const values = {};
  const visit = (/** @type {any} */ node) => {
    if (Array.isArray(node)) node.forEach(visit);
    else if (node && typeof node === "object") {
      if (node.node === "symbol") values[node.text] = value(node.text);
      else Object.values(node).forEach(visit);
    }
  };
  visit(tree);
  return evaluate(tree, values).data[0];
}

/** The cases that hold, one of each part at most. @param {Words} words @param {Saying} saying
 * @param {Record<string, number>} values */
function holding({conditions}, saying, values) {
  return saying.parts.flatMap(cases => {
    const found = cases.find(({when}) => when === undefined || scalar(conditions[when], name => values[name]) !== 0);
    return found ? [found] : [];
  });
}

/** Words with their slots filled, each {name:format}. @param {string} words @param {Record<string, number | string>} values */
function filled(words, values) {
  return words.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, format) => {
    const value = values[name];
    if (typeof value === "string") return value;
    return format === "percent" ? percent(value) : format === "count" ? String(value) : figure(value, 4);
  });
}

/** Whether a unit has a name of its own, and not its number. @param {string | undefined} name @param {number} unit */
function isNamed(name, unit) {
  return name !== undefined && name !== String(unit) && name !== `unit ${unit}`;
}

/** What an entry of a vector is called: a unit, or an entry of a projected hidden state. @param {Page} page
 * @param {number} layer @param {number} direction @param {string} of @param {number} unit @returns {string} */
function entryName(page, layer, direction, of, unit) {
  const cell = page.model.layers[layer]?.cells[direction];
  if (!cell) return page.model.outputs[unit] ?? `output ${unit}`;
  if (of === "h" && cell.recurrent !== cell.hidden) return `h${unit}`;
  return isNamed(cell.units[unit], unit) ? cell.units[unit] : `unit ${unit}`;
}

/** What a column of the weights is called. @param {Page} page @param {number} layer @param {number} direction
 * @param {string} matrix @param {number} column */
function columnName(page, layer, direction, matrix, column) {
  const {recurrent, hidden, units, features} = page.model.layers[layer].cells[direction];
  const place = page.model.shape(layer, direction, matrix)[1] === features.length ? column : column - recurrent;
  if (place >= 0 && !/^dU/.test(matrix)) return features[place];
  const own = recurrent === hidden && isNamed(units[column], column);
  return own ? `h(${units[column]})` : `h${column}`;
}

/** A sentence begins with a capital, but for a unit's own name. @param {string} text */
function begun(text) {
  return text.startsWith("unit ") ? `U${text.slice(1)}` : text;
}

/** What a quantity is called; its symbol where it has no name. @param {Page} page @param {number} layer
 * @param {number} direction @param {string} name @returns {string} */
export function quantityName(page, layer, direction, name) {
  return wordsOf(page, layer, direction)?.names[name] ?? name;
}

/**
 * The walkthrough's sentence on a quantity; "" where it says nothing of it.
 * @param {Page} page @param {number} layer @param {number} direction @param {string} name a quantity of the program
 * @param {number} step @param {readonly number[]} [units] by default all @returns {string}
 */
export function sentenceOf(page, layer, direction, name, step, units) {
  const words = wordsOf(page, layer, direction);
  if (!words || !Object.hasOwn(words.of, name)) return "";
  const place = {page, layer, direction, step, words};
  if (words.of[name] === "d_weights") return ofWeights(place);
  const saying = words.sayings[words.of[name]];
  if (!("parts" in saying)) return saying.words;
  const count = page.model.shape(layer, direction, saying.of)[0];
  const asked = units?.filter(k => k < count) ?? [];
  return ofUnits(place, saying, asked.length ? asked : Array.from({length: count}, (_, k) => k));
}

/** What is said of some units. @param {Place} place @param {Saying} saying @param {readonly number[]} units
 * @param {(unit: number) => Record<string, number>} [valuesOf] of the saying's variables */
function ofUnits(place, saying, units, valuesOf = k => knownOfUnit(place, saying, k)) {
  const {
    page,
    layer,
    direction,
    words: {each},
    words,
  } = place;
  const {what} = saying;
  const count = String(units.length);
  /** @param {number} k */
  const say = k => {
    const values = valuesOf(k);
    return holding(words, saying, values)
      .map(one => filled(one.words, values))
      .join("");
  };
  /** @param {number} k */
  const named = k => entryName(page, layer, direction, saying.of, k);
  if (units.length <= each.most) {
    const listed = filled(each.listed, {listed: units.map(k => `${named(k)} ${say(k)}`).join("; ")});
    return saying.begins ? begun(listed) : listed;
  }
  const values = units.map(k => valuesOf(k).extreme);
  const bad = values.findIndex(one => !Number.isFinite(one));
  if (bad >= 0) return filled(each.unfinite, {count, name: named(units[bad]), what});
  const least = units[values.indexOf(Math.min(...values))];
  const most = units[values.indexOf(Math.max(...values))];
  if (least === most) return filled(each.alike, {count, name: named(least), said: say(least), what});
  const extremes = {most: named(most), most_said: say(most), least: named(least), least_said: say(least)};
  return filled(each.extremes, {count, what, ...extremes});
}

/**
 * The walkthrough's sentence on how much of a gradient at the cell state of a step reaches that of an earlier one.
 * @param {Page} page @param {number} layer @param {number} direction @param {{last: string, first: string}} steps what
 * they are called @param {readonly number[]} units @param {(unit: number) => number} share @returns {string}
 */
export function carriedOf(page, layer, direction, steps, units, share) {
  const words = wordsOf(page, layer, direction);
  if (!words?.carried) return "";
  const values = (/** @type {number} */ k) => ({value: share(k), extreme: share(k)});
  const place = {page, layer, direction, step: 0, words};
  return filled(words.carried.from, steps) + ofUnits(place, words.carried, units, values);
}

/** Which weight has the largest gradient. @param {Place} place */
function ofWeights({page, layer, direction, step, words: {weights}}) {
  let largest = {size: 0, value: 0, matrix: "", gate: "", at: 0};
  for (const [matrix, gate] of weights.of) {
    for (const [at, value] of page.model.value(layer, direction, matrix, step).entries()) {
      if (!Number.isFinite(value)) return weights.unfinite;
      if (Math.abs(value) > largest.size) largest = {size: Math.abs(value), value, matrix, gate, at};
    }
  }
  if (!largest.matrix) return weights.none;
  const {matrix, gate, at, value} = largest;
  const columns = page.model.shape(layer, direction, matrix)[1];
  const column = columnName(page, layer, direction, matrix, at % columns);
  const unit = entryName(page, layer, direction, "c", Math.floor(at / columns));
  return filled(weights.largest, {column, gate, unit, value});
}

/**
 * What happens in a unit now, in one sentence: it writes, holds, erases or mixes, and puts out or keeps to itself.
 * @param {Page} page @param {number} layer @param {number} direction @param {number} step @param {number} unit
 * @returns {string}
 */
export function momentOf(page, layer, direction, step, unit) {
  const words = wordsOf(page, layer, direction);
  if (!words?.moment) return "";
  const values = knownOfUnit({page, layer, direction, step, words}, words.moment, unit);
  const name = entryName(page, layer, direction, "c", unit);
  return begun(
    holding(words, words.moment, values)
      .map(one => filled(one.words, {...values, name}))
      .join(""),
  );
}
