/**
 * The walkthrough's sentences, from the document: a sentence on one unit is the first case that holds, of each part,
 * and one on many units names the extremes. Cases hold where their formula is not 0.
 */
import {evaluate} from "../engine/evaluate.js";
import {figure, percent} from "../engine/figures.js";
import {symbolsOf} from "../engine/trees.js";
import {nameAlong, unitWords} from "./detail.js";
import {wordsOf} from "./formulas.js";
import {pagePhrase} from "./phrases.js";

/** @typedef {StepRef & {step: number}} SentenceRef */
/** @typedef {{page: Page, place: Place & {step: number}, words: Words}} Subject */

/** The values of a saying's variables, of one unit. @param {Subject} subject @param {Saying} saying @param {number} unit
 * @returns {Record<string, number>} */
function variablesOf({page: {model}, place}, saying, unit) {
  /** @type {Record<string, number>} */
  const values = {};
  for (const [variable, tree] of Object.entries(saying.variables)) {
    values[variable] = scalar(tree, name => {
      const ref = {...place, name};
      return model.value(ref)[model.shape(ref).length ? unit : 0];
    });
  }
  return values;
}

/** The value of a tree of single numbers. @param {Tree} tree @param {(name: string) => number} value */
function scalar(tree, value) {
  const values = Object.fromEntries(symbolsOf(tree).map(name => [name, value(name)]));
  return evaluate(tree, values).data[0];
}

/** The words of the cases that hold, one of each part at most. @param {Subject} subject @param {Saying} saying
 * @param {Record<string, number>} values @param {Record<string, number | string>} [slots] */
function holding({page, words: {conditions}}, saying, values, slots = values) {
  const cases = saying.parts.map(part =>
    part.find(({when}) => when === undefined || scalar(conditions[when], name => values[name]) !== 0),
  );
  return cases.map(holds => (holds ? filled(page, holds.words, slots) : "")).join("");
}

/** Words with their slots filled, each {name:format}. @param {Page} page @param {string} words
 * @param {Record<string, number | string>} values */
function filled({doc}, words, values) {
  return words.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, format) => {
    const value = values[name];
    if (typeof value === "string") return value;
    if (format === "percent") return percent(value, doc.phrases.percent);
    return format === "count" ? String(value) : figure(value, 4);
  });
}

/** The name of an entry of a quantity. @param {Page} page @param {NameRef} ref @param {number} index */
function entryName({model}, ref, index) {
  return nameAlong(model, ref, model.axes(ref)[0] ?? "units", index);
}

/** The name of a column of the weights. @param {Page} page @param {NameRef} ref of their gradient @param {number} column */
function columnName(page, ref, column) {
  const {model} = page;
  const {recurrent, hidden, features} = model.cell(ref);
  const weights = model.quantity({...ref, name: model.quantity(ref).gradient_of ?? ref.name});
  const place = model.shape(ref)[1] === features.length ? column : column - recurrent;
  if (place >= 0 && weights.role !== "recurrent_weights") return features[place];
  const unit = unitWords(model, ref, column);
  const isNamed = recurrent === hidden && unit !== pagePhrase(page, "entry.unit", {unit: column});
  return isNamed ? `h(${unit})` : `h${column}`;
}

/** Whether a text begins as the name of a unit without a name of its own does. @param {Page} page @param {string} text */
function isUnnamed(page, text) {
  return text.startsWith(pagePhrase(page, "entry.unit", {unit: ""}));
}

/** A sentence begins with a capital, but for a unit's own name. @param {Page} page @param {string} text */
function begun(page, text) {
  return isUnnamed(page, text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** The name of a unit as the subject of a sentence: unit 0, or unit latch. @param {Page} page @param {string} name */
function subjectOf(page, name) {
  return isUnnamed(page, name) || /^h\d+$/.test(name) ? name : pagePhrase(page, "entry.unit", {unit: name});
}

/** The walkthrough's sentence on a quantity, of some units or of all; "" where there is none. @param {Page} page
 * @param {SentenceRef} ref @param {readonly number[]} [units] @returns {string} */
export function sentenceOf(page, ref, units) {
  const words = /** @type {Words | null} */ (wordsOf(page, ref));
  if (!words || !Object.hasOwn(words.of, ref.name)) return "";
  const subject = {page, place: ref, words};
  const saying = words.sayings[words.of[ref.name]];
  if (!saying) return weightsSentence(subject); // the sections of gradients have a sentence of their own
  if (!("parts" in saying)) return saying.words;
  const count = page.model.shape({...ref, name: saying.of})[0];
  const asked = units?.filter(k => k < count) ?? [];
  return unitsSentence(subject, saying, asked.length ? asked : Array.from({length: count}, (_, k) => k));
}

/** A saying about some units. @param {Subject} subject @param {Saying} saying @param {readonly number[]} units
 * @param {(unit: number) => Record<string, number>} [valuesOf] of the saying's variables */
function unitsSentence(subject, saying, units, valuesOf = k => variablesOf(subject, saying, k)) {
  const {page, place, words} = subject;
  const {each} = words;
  const {what: quantity} = saying;
  const count = String(units.length);
  /** @param {number} k */
  const say = k => holding(subject, saying, valuesOf(k));
  /** @param {number} k */
  const named = k => entryName(page, {...place, name: saying.of}, k);
  if (units.length <= each.most) {
    const listed = filled(page, each.listed, {
      listed: units.map(k => `${subjectOf(page, named(k))} ${say(k)}`).join("; "),
    });
    return saying.begins ? begun(page, listed) : listed;
  }
  const values = units.map(k => valuesOf(k).extreme);
  const bad = values.findIndex(value => !Number.isFinite(value));
  if (bad >= 0) return filled(page, each.unfinite, {count, name: named(units[bad]), what: quantity});
  const least = units[values.indexOf(Math.min(...values))];
  const most = units[values.indexOf(Math.max(...values))];
  if (least === most) return filled(page, each.alike, {count, name: named(least), said: say(least), what: quantity});
  const extremes = {most: named(most), most_said: say(most), least: named(least), least_said: say(least)};
  return filled(page, each.extremes, {count, what: quantity, ...extremes});
}

/** The weight with the largest gradient, in a sentence. @param {Subject} subject */
function weightsSentence({page, place, words: {weights}}) {
  let largest = {size: 0, value: 0, name: "", gate: "", at: 0};
  for (const [name, gate] of weights.of) {
    for (const [at, value] of page.model.value({...place, name}).entries()) {
      if (!Number.isFinite(value)) return weights.unfinite;
      if (Math.abs(value) > largest.size) largest = {size: Math.abs(value), value, name, gate, at};
    }
  }
  if (!largest.name) return weights.none;
  const {name, gate, at, value} = largest;
  const columns = page.model.shape({...place, name})[1];
  const column = columnName(page, {...place, name}, at % columns);
  const unit = entryName(page, {...place, name: page.model.roles(place).cell_state}, Math.floor(at / columns));
  return filled(page, weights.largest, {column, gate, unit, value});
}

/** The sentence on a unit at a step: it writes, holds, erases or mixes, and puts out or keeps its state.
 * @param {Page} page @param {Place & {step: number, unit: number}} place @returns {string} */
export function momentOf(page, {layer, direction, step, unit}) {
  const place = {layer, direction, step};
  const words = /** @type {Words | null} */ (wordsOf(page, place));
  if (!words?.moment) return "";
  const subject = {page, place, words};
  const values = variablesOf(subject, words.moment, unit);
  const name = subjectOf(page, entryName(page, {...place, name: page.model.roles(place).cell_state}, unit));
  return begun(page, holding(subject, words.moment, values, {...values, name}));
}
