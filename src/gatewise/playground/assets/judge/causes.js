/** The likely causes of a wrong number: known mistakes are made on purpose, and one that gives the number is a cause. */
import {isCopied, placeOf} from "./lines.js";
import {decimalsOf} from "./numerals.js";

/** @typedef {{causes: Cause[], more: number, digits: number | null}} Causes */
/**
 * A wrong number, and what is known when its causes are searched for.
 * @typedef {object} Wrong
 * @property {Lines} lines
 * @property {Mistakes} mistakes
 * @property {Grader} grader
 * @property {string} name of the line
 * @property {number[]} at which entry of it
 * @property {{value: number, tolerance: number}} typed
 * @property {LineNumbers} values every line as it follows from the person's own numbers
 * @property {LineNumbers} slack the tolerance of these
 * @property {number} unit the tolerance of a number that was not written, since it was rounded
 * @property {string[]} cone the line, last, and those between it and what was written
 * @property {Set<string>} settled lines that are written and right: no mistake was members in them
 * @property {number} margin how far off the number may be and still be right
 * @property {number} share of the chance that a cause may be named by: 1 for one search
 */
/** @typedef {{changes: Map<string, Tree>, cause: Cause, near: number, key: string}} Effect */

/** @type {Causes} */
const NO_CAUSES = {causes: [], more: 0, digits: null};

/** The causes of a wrong number. @param {Wrong} wrong @param {number} search how many searches came before
 * @param {number} searches how many there are @returns {Causes} */
export function causesOf(wrong, search, searches) {
  const {lines, name, typed, grader} = wrong;
  const place = placeOf(lines.shape(name), wrong.at);
  const expected = /** @type {Float64Array} */ (wrong.values.get(name))[place];
  if (Math.abs(typed.value) === grader.trivial || !Number.isFinite(expected)) return NO_CAUSES;
  const margin = Math.max(wrong.margin, gridOf([typed.value, expected], grader.grid_decimals));
  /** @type {Map<string, number>} */
  const chances = new Map();
  /** @type {{effect: Effect, chance: number}[]} */
  const fits = [];
  for (const effect of effectsOf(wrong)) {
    const predicted = predictedBy(wrong, effect, place);
    if (predicted === null || !Number.isFinite(predicted)) continue;
    const chance = chanceOf(Math.abs(predicted - expected), margin, Math.abs(expected));
    chances.set(predicted.toPrecision(12), chance); // equal numbers are hit together
    if (Math.abs(predicted - typed.value) > grader.near * margin || chance >= 1) continue;
    const wider = widening(wrong, effect, place, margin);
    if (wider !== null) fits.push({effect, chance: chance * wider});
  }
  fits.sort((first, second) => second.effect.near - first.effect.near);
  return mostLikely(wrong, fits, [...chances.values()], shareOf(grader.bound, search, searches) * wrong.share);
}

/** The causes whose chance is within what is allowed. @param {Wrong} wrong @param {{effect: Effect, chance: number}[]} fits
 * @param {number[]} chances @param {number} allowed @returns {Causes} */
function mostLikely({grader, typed}, fits, chances, allowed) {
  /** @type {Map<string, Cause>} */
  const causes = new Map();
  let digits = null;
  for (const {effect, chance} of fits) {
    const total = chanceOfAny(chance, chances);
    const key = `${effect.cause.words}|${effect.cause.lines}`;
    if (total <= allowed && !causes.has(key)) causes.set(key, effect.cause);
    digits ??= Math.max(0, decimalsOf(typed.tolerance)) + Math.max(1, Math.ceil(Math.log10(total / allowed)));
  }
  if (!causes.size) return {...NO_CAUSES, digits};
  if (causes.size > grader.most_fits) return {...NO_CAUSES, more: causes.size};
  const named = [...causes.values()].slice(0, grader.most_causes);
  return {causes: named, more: causes.size - named.length, digits: null};
}

// The numbers that mistakes give.

/** @param {Wrong} wrong @param {Effect} effect @param {number} place */
function predictedBy({lines, cone, values}, {changes}, place) {
  /** @type {LineNumbers} */
  const moved = new Map();
  for (const name of cone) {
    const change = changes.get(name);
    if (!change && !lines.uses(name).some(input => moved.has(input))) continue;
    const value = lines.value(change ?? lines.tree(name), new Map([...values, ...moved]), lines.shape(name));
    if (value === null) return null;
    moved.set(name, value);
  }
  return moved.get(cone[cone.length - 1])?.[place] ?? null;
}

/** By what factor a mistake leaves more room than the right line, if it gives what was typed; otherwise null.
 * @param {Wrong} wrong @param {Effect} effect @param {number} place @param {number} margin */
function widening({lines, cone, values: known, slack, unit, typed, grader, margin: least}, {changes}, place, margin) {
  const values = new Map(known);
  const tolerances = new Map(slack);
  let result = null;
  for (const name of cone) {
    const tree = changes.get(name) ?? lines.tree(name);
    result = lines.spread(tree, values, tolerances, lines.shape(name));
    if (result === null) return null;
    values.set(name, result.value);
    tolerances.set(name, isCopied(tree) ? result.slack : result.slack.map(tolerance => tolerance + unit));
  }
  if (result === null) return null;
  const value = result.value[place];
  const room = typed.tolerance + result.slack[place] + grader.rounding * (Math.abs(value) + grader.least_rounded);
  const widest = Math.max(least, room);
  return Math.abs(typed.value - value) <= widest ? Math.max(1, widest / margin) : null;
}

/** Every mistake that reaches the line, each once. @param {Wrong} wrong */
function effectsOf(wrong) {
  /** @type {Map<string, Effect>} */
  const effects = new Map();
  for (const effect of [...inOneLine(wrong), ...inSeveralLines(wrong)]) {
    if (!effects.has(effect.key)) effects.set(effect.key, effect);
  }
  return effects.values();
}

/** @param {Wrong} wrong @returns {Effect[]} */
function inOneLine({cone, mistakes: {edits, forms}}) {
  return cone.flatMap((name, near) =>
    edits
      .filter(edit => edit.target === name)
      .map(({kind, words, form}) => ({
        changes: new Map([[name, forms[form]]]),
        cause: {kind, words, lines: [name], gates: [], each: false},
        near,
        key: `${name} ${form}`,
      })),
  );
}

/** @param {Wrong} wrong @returns {Effect[]} */
function inSeveralLines({cone, settled, mistakes: {edits, forms, families}}) {
  return families.flatMap(({members: numbers, ...sentence}) => {
    const family = numbers.map(number => edits[number]);
    const members = family.filter(edit => cone.includes(edit.target));
    if (!members.length || family.some(edit => settled.has(edit.target))) return [];
    return [
      {
        changes: new Map(members.map(edit => [edit.target, forms[edit.form]])),
        cause: {kind: family[0].kind, ...sentence},
        near: Math.max(...members.map(edit => cone.indexOf(edit.target))),
        key: members.map(edit => `${edit.target} ${edit.form}`).join(", "),
      },
    ];
  });
}

// The chance that unrelated numbers fit a mistake: see gatewise.grading.chance.

/** The chance that one search may take of the bound. @param {number} bound @param {number} search @param {number} searches */
function shareOf(bound, search, searches) {
  return (bound / ((search + 1) * (search + 2))) * ((searches + 1) / searches);
}

/**
 * The chance that an unrelated number fits a mistake that moves the right one. Its distance from the right one is as
 * likely to lie between one power of ten and the next as between any two others.
 * @param {number} distance @param {number} margin @param {number} size of the right number
 */
function chanceOf(distance, margin, size) {
  const spread = Math.max(1, Math.log(Math.max(size, margin) / margin));
  return margin / Math.max(distance, margin) / spread;
}

/** The chance that an unrelated number fits a mistake, or any that it fits less likely. @param {number} chance
 * @param {number[]} chances of all mistakes */
function chanceOfAny(chance, chances) {
  return chances.reduce((sum, other) => (other < chance ? sum + other : sum), chance);
}

/** Half the distance of the numbers that may be written, where the right one and the written one have few decimals.
 * @param {number[]} numbers @param {number} mostDecimals */
function gridOf(numbers, mostDecimals) {
  for (let decimals = 0; decimals <= mostDecimals; decimals++) {
    const scale = 10 ** decimals;
    if (numbers.every(number => Math.abs(number - Math.round(number * scale) / scale) < 1e-9)) return 0.5 / scale;
  }
  return 0;
}
