/** Why is a number wrong? Known mistakes are made on purpose; one that gives what was typed is a likely cause. */
import {chanceOf, decimalsMore, gridOf, inAll, shareOf} from "./chance.js";
import {editsOf, familyOf, gateOf, neutralWords} from "./mistakes.js";
import {decimalsOf} from "./numerals.js";
import {isCopied, placeOf} from "./lines.js";
import {acrossSteps} from "./carries.js";
import {slipsOf} from "./slips.js";

/** @typedef {import("./lines.js").Lines} Lines */
/** @typedef {import("./lines.js").Numbers} Numbers */
/** @typedef {import("./mistakes.js").Edited} Edited */
/** @typedef {import("./mistakes.js").Mistakes} Mistakes */
/** @typedef {import("./mistakes.js").Tier} Tier */
/** @typedef {import("./trees.js").Tree} Tree */
/**
 * A likely cause: what was done, in which lines, and whether at every step; where that is of gates in different words, for
 * which.
 * @typedef {{kind: string, tier: Tier, words: string, lines: string[], gates: string[], every?: boolean}} Cause
 */
/** @typedef {{causes: Cause[], more: number, digits: number | null}} Found */
/**
 * A wrong number, and what is known when it is searched for.
 * @typedef {object} Wrong
 * @property {Lines} lines
 * @property {Mistakes} mistakes
 * @property {string} name of the line
 * @property {number[]} at which entry of it
 * @property {(line: string, axis: number, n: number) => string} called an entry of a line
 * @property {{value: number, tolerance: number}} typed
 * @property {Numbers} own every line as it follows from the person's own numbers
 * @property {Numbers} slack and how far off that may be
 * @property {number} unit how far off a number may be that was not written, since it was rounded
 * @property {string[]} cone the line, last, and those between it and what was written
 * @property {Set<string>} settled lines that are written and right: no mistake was made in them
 * @property {number} margin how far off the number may be and still be right
 * @property {number} share of the chance that a cause may be named by: 1 for one search
 */
/** @typedef {{changes: Map<string, Tree>, given?: Numbers, cause: Cause, near: number, key: string}} Effect given: what the step takes */

const TIERS = /** @type {Tier[]} */ (["likely", "structural", "one entry"]);
const MOST_CAUSES = 3;
const MOST_FITS = 8;  // where more mistakes give the same number, it says little that one of them does
const NEAR_MARGINS = 100;  // a mistake that is further off is not examined closely
const SLACK = 1e-9;

/** What gives the number that was typed. @param {Wrong} wrong @param {number} search @param {number} searches
 * @returns {Found} */
export function causesOf(wrong, search, searches) {
  const {lines, name, typed} = wrong;
  const place = placeOf(lines.shape(name), wrong.at);
  const expected = /** @type {Float64Array} */ (wrong.own.get(name))[place];
  if (Math.abs(typed.value) === 1 || !Number.isFinite(expected)) return {causes: [], more: 0, digits: null};
  const margin = Math.max(wrong.margin, gridOf([typed.value, expected]));
  /** @type {Record<string, Map<string, number>>} */
  const chances = {likely: new Map(), structural: new Map(), "one entry": new Map()};
  /** @type {{effect: Effect, chance: number, order: number}[]} */
  const fits = [];
  let order = 0;
  for (const effect of effectsOf(wrong)) {
    const predicted = predictedBy(wrong, effect, place);
    if (predicted === null || !Number.isFinite(predicted)) continue;
    const chance = chanceOf(Math.abs(predicted - expected), margin, Math.abs(expected));
    chances[effect.cause.tier].set(predicted.toPrecision(12), chance);  // equal numbers are hit together
    if (Math.abs(predicted - typed.value) > NEAR_MARGINS * margin || chance >= 1) continue;
    const wider = fit(wrong, effect, place, margin);
    if (wider !== null) fits.push({effect, chance: chance * wider, order: order++});
  }
  return chosen(wrong, fits, chances, search, searches);
}

/** @param {Wrong} wrong @param {{effect: Effect, chance: number, order: number}[]} fits
 * @param {Record<string, Map<string, number>>} chances @param {number} search @param {number} searches @returns {Found} */
function chosen(wrong, fits, chances, search, searches) {
  const ranked = fits.sort((one, other) =>
    TIERS.indexOf(one.effect.cause.tier) - TIERS.indexOf(other.effect.cause.tier)
    || other.effect.near - one.effect.near || one.order - other.order);
  /** @type {Map<string, Cause>} */
  const shown = new Map();
  let digits = null;
  for (const {effect: {cause}, chance} of ranked) {
    const whole = inAll(chance, [...chances[cause.tier].values()]);
    const allowed = shareOf(cause.tier, search, searches) * wrong.share;
    const key = `${cause.words}|${cause.lines}`;
    const isNews = cause.tier !== "one entry" || !shown.size || [...shown.values()][0].tier === "one entry";
    if (whole <= allowed && isNews && !shown.has(key)) shown.set(key, cause);
    digits ??= Math.max(0, decimalsOf(wrong.typed.tolerance)) + decimalsMore(whole, allowed);
  }
  if (shown.size) digits = null;
  if (shown.size > MOST_FITS) return {causes: [], more: shown.size, digits: null};
  const causes = [...shown.values()];
  return {causes: causes.slice(0, MOST_CAUSES), more: Math.max(0, causes.length - MOST_CAUSES), digits};
}

// What mistakes make of the line.

/** @param {Wrong} wrong @param {Effect} effect @param {number} place */
function predictedBy({lines, cone, own}, {changes, given = new Map()}, place) {
  /** @type {Numbers} */
  const moved = new Map(given);
  for (const name of cone) {
    const change = changes.get(name);
    if (!change && !lines.uses(name).some((one) => moved.has(one))) continue;
    const value = lines.value(change ?? lines.tree(name), new Map([...own, ...moved]), lines.shape(name));
    if (value === null) return null;
    moved.set(name, value);
  }
  return moved.get(cone[cone.length - 1])?.[place] ?? null;
}

/** By what factor a mistake leaves more room than the right line, if it gives what was typed; otherwise null.
 * @param {Wrong} wrong @param {Effect} effect @param {number} place @param {number} margin */
function fit({lines, cone, own, slack, unit, typed, margin: least}, {changes, given = new Map()}, place, margin) {
  const values = new Map([...own, ...given]), loose = new Map(slack);
  const last = cone[cone.length - 1];
  let found = null;
  for (const name of cone) {
    const tree = changes.get(name) ?? lines.tree(name);
    const made = lines.spread(tree, values, loose, lines.shape(name));
    if (made === null) return null;
    if (name === last) found = made;
    values.set(name, made.value);
    loose.set(name, isCopied(tree) ? made.slack : made.slack.map((one) => one + unit));
  }
  if (found === null) return null;
  const room = typed.tolerance + found.slack[place] + SLACK * (Math.abs(found.value[place]) + 1e-3);
  const wide = Math.max(least, room);
  return Math.abs(typed.value - found.value[place]) <= wide ? Math.max(1, wide / margin) : null;
}

/** Every mistake that reaches the line, each once. @param {Wrong} wrong @returns {Generator<Effect>} */
function* effectsOf(wrong) {
  const seen = new Set();
  for (const tier of /** @type {Tier[]} */ (["likely", "structural"])) {
    const inLines = [...alone(wrong, tier), ...atOnce(wrong, tier)];
    for (const effect of tier === "likely" ? [...inLines, ...acrossSteps(wrong, inLines)] : inLines) {
      if (seen.has(effect.key)) continue;
      seen.add(effect.key);
      yield effect;
    }
  }
  yield* slipsOf(wrong);
}

/** @param {Wrong} wrong @param {Tier} tier @returns {Generator<Effect>} */
function* alone(wrong, tier) {
  for (const [near, name] of wrong.cone.entries()) {
    for (const edit of editsIn(wrong, name, tier)) {
      if (!edit.words.includes("{}")) continue;
      const cause = {kind: edit.kind, tier, words: edit.words, lines: [name], gates: []};
      yield {changes: new Map([[name, edit.tree()]]), cause, near, key: `${name} ${edit.form}`};
    }
  }
}

/** Mistakes that are made in several lines. @param {Wrong} wrong @param {Tier} tier @returns {Generator<Effect>} */
function* atOnce(wrong, tier) {
  const {lines, mistakes: {gates}} = wrong;
  /** @type {Map<string, Edited[]>} */
  const families = new Map();
  for (const name of lines.names) {
    for (const edit of editsIn(wrong, name, tier)) {
      const family = familyOf(edit, lines.backward(name), gates);
      const others = families.get(family) ?? [];
      if (others.every((one) => one.target !== name)) families.set(family, [...others, edit]);
    }
  }
  for (const family of families.values()) {
    const made = family.filter((one) => wrong.cone.includes(one.target));
    if (family.length < 2 || !made.length || family.some((one) => wrong.settled.has(one.target))) continue;
    yield {
      changes: new Map(made.map((one) => [one.target, one.tree()])),
      cause: causeOfFamily(family, gates),
      near: Math.max(...made.map((one) => wrong.cone.indexOf(one.target))),
      key: made.map((one) => `${one.target} ${one.form}`).join(", "),
    };
  }
}

/** @param {Edited[]} family @param {Record<string, string>} gates @returns {Cause} */
function causeOfFamily(family, gates) {
  const [first] = family, names = family.map((one) => one.target);
  const {kind, tier, words} = first;
  if (family.every((one) => one.words === words)) return {kind, tier, words, lines: names, gates: []};
  const letters = [...new Set(names.map(gateOf))];
  const ofAny = [...new Set(names.map((one) => neutralWords(one, gateOf(one), gates)))];
  const lines = ofAny.length * letters.length === names.length ? ofAny : names;
  return {kind, tier, words: neutralWords(words, letters[0], gates), lines, gates: letters};
}

/** @param {Wrong} wrong @param {string} name @param {Tier} tier */
function editsIn({lines, mistakes}, name, tier) {
  return editsOf(mistakes, name, tier, (one) => lines.shape(one).length === 2);
}
