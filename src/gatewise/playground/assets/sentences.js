/**
 * The walkthrough's sentences, from the document: what is said of one unit is the first case that holds of each part,
 * and of many units the extremes are said. Cases hold where their formula is not 0.
 */
import {evaluate} from "./evaluate.js";
import {figure, percent} from "./figures.js";
import {programOf} from "./formulas.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./trees.js").Tree} Tree */
/** @typedef {{when: Tree | null, words: string, key?: string}} Case */
/** @typedef {{variables: Record<string, Tree>, parts: Case[][], of?: string, what?: string, begins?: boolean}} Saying */
/** @typedef {{most: number, listed: string, unfinite: string, alike: string, extremes: string}} Each */
/** @typedef {{each: Each, sayings: Record<string, Saying>, of: Record<string, string>, moment: Saying | null}} Words */

/** @param {Page} page @param {number} layer @param {number} direction @returns {Words | null} */
function wordsOf(page, layer, direction) {
  return page.doc.words[programOf(page, layer, direction)] ?? null;
}

/** What is known of one unit: the values of a saying's variables. @param {Page} page @param {number} layer
 * @param {number} direction @param {number} step @param {Saying} saying @param {number} unit */
function known(page, layer, direction, step, saying, unit) {
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

/** The cases that hold, one of each part at most. @param {Saying} saying @param {Record<string, number>} values */
function holding(saying, values) {
  return saying.parts.flatMap(cases => {
    const found = cases.find(({when}) => when === null || scalar(when, name => values[name]) !== 0);
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

/** @param {Page} page @param {number} layer @param {number} direction @param {string | undefined} of @param {number} unit */
function unitName(page, layer, direction, of, unit) {
  const cell = page.model.layers[layer]?.cells[direction];
  if (!cell) return page.model.outputs[unit] ?? `output ${unit}`;
  if (of === "h" && cell.recurrent !== cell.hidden) return `h${unit}`;
  return cell.units[unit] ?? `unit ${unit}`;
}

/** A sentence begins with a capital, but for a unit's own name. @param {string} text */
function begun(text) {
  return text.startsWith("unit ") ? `U${text.slice(1)}` : text;
}

/**
 * The walkthrough's sentence on a quantity; "" where it says nothing of it.
 * @param {Page} page @param {number} layer @param {number} direction @param {string} name a quantity of the program
 * @param {number} step @param {readonly number[]} [units] by default all @returns {string}
 */
export function sentenceOf(page, layer, direction, name, step, units) {
  const words = wordsOf(page, layer, direction);
  const saying = words && Object.hasOwn(words.of, name) ? words.sayings[words.of[name]] : null;
  if (!words || !saying) return "";
  if (!saying.of) return saying.parts.map(([only]) => only.words).join("");
  const count = page.model.shape(layer, direction, saying.of)[0];
  const chosen = units ?? Array.from({length: count}, (_, k) => k);
  /** @param {number} k */
  const say = k => {
    const values = known(page, layer, direction, step, saying, k);
    return holding(saying, values).map(one => filled(one.words, values)).join("");
  };
  /** @param {number} k */
  const named = k => unitName(page, layer, direction, saying.of, k);
  const what = saying.what ?? "";
  if (chosen.length <= words.each.most) {
    const listed = filled(words.each.listed, {listed: chosen.map(k => `${named(k)} ${say(k)}`).join("; ")});
    return saying.begins === false ? listed : begun(listed);
  }
  return ofMany(words.each, chosen, k => known(page, layer, direction, step, saying, k)["extreme"], say, named, what);
}

/** @param {Each} each @param {readonly number[]} units @param {(k: number) => number} value @param {(k: number) => string} say
 * @param {(k: number) => string} named @param {string} what */
function ofMany(each, units, value, say, named, what) {
  const values = units.map(value);
  const count = String(units.length);
  const bad = values.findIndex(one => !Number.isFinite(one));
  if (bad >= 0) return filled(each.unfinite, {count, name: named(units[bad]), what});
  const least = units[values.indexOf(Math.min(...values))];
  const most = units[values.indexOf(Math.max(...values))];
  if (least === most) return filled(each.alike, {count, name: named(least), said: say(least), what});
  return filled(each.extremes, {count, what, most: named(most), most_said: say(most), least: named(least), least_said: say(least)});
}

/**
 * What happens in a unit now, in one sentence: it writes, holds or erases, and puts out or keeps to itself.
 * @param {Page} page @param {number} layer @param {number} direction @param {number} step @param {number} unit
 * @returns {string}
 */
export function momentOf(page, layer, direction, step, unit) {
  const saying = wordsOf(page, layer, direction)?.moment;
  if (!saying) return "";
  const values = {...known(page, layer, direction, step, saying, unit), name: unitName(page, layer, direction, "c", unit)};
  return begun(holding(saying, /** @type {any} */ (values)).map(one => filled(one.words, values)).join(""));
}

/**
 * What happens in a unit now, as words for styles: "write", "hold", "add", "erase", and "release" or "keep".
 * @param {Page} page @param {number} layer @param {number} direction @param {number} step @param {number} unit
 * @returns {string[]}
 */
export function happeningOf(page, layer, direction, step, unit) {
  const saying = wordsOf(page, layer, direction)?.moment;
  if (!saying) return [];
  return holding(saying, known(page, layer, direction, step, saying, unit)).flatMap(one => one.key ? [one.key] : []);
}
