/** The likely cause of a wrong number: known mistakes are made on purpose, and one that gives the number is a cause. */
import {placeOf} from "./lines.js";

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
 * @property {string[]} cone the line, last, and those between it and what was written
 * @property {number} margin how far off the number may be and still be right
 */
/** @typedef {{kind: string, words: string, line: string, tree: Tree, near: number}} Cause the line's place in the cone */

/** The likely cause of a wrong number, or null. @param {Wrong} wrong @param {number} searches how many there are
 * @param {boolean} usual whether a usual slip counts that few digits cannot tell from others @returns {Cause | null} */
export function causeOf(wrong, searches, usual) {
  const {lines, name, typed, grader} = wrong;
  const place = placeOf(lines.shape(name), wrong.at);
  const expected = /** @type {Float64Array} */ (wrong.values.get(name))[place];
  if (Math.abs(typed.value) === grader.trivial || !Number.isFinite(expected)) return null;
  const margin = Math.max(wrong.margin, gridOf([typed.value, expected], grader.grid_decimals));
  /** @type {{predicted: number, chance: number}[]} */
  const hits = [];
  /** @type {{cause: Cause, chance: number}[]} */
  const fits = [];
  for (const cause of possibleCauses(wrong)) {
    const predicted = predictedBy(wrong, cause, place);
    if (predicted === null || !Number.isFinite(predicted)) continue;
    const chance = chanceOf(Math.abs(predicted - expected), margin, Math.abs(expected));
    hits.push({predicted, chance});
    if (Math.abs(predicted - typed.value) <= margin && chance < 1) fits.push({cause, chance});
  }
  const likely = likeliest(wrong, fits, chancesOfDistinct(hits, grader), grader.bound / searches);
  const slips = usual ? fits.filter(({cause}) => wrong.mistakes.usual.includes(cause.kind)) : [];
  return likely ?? likeliest(wrong, slips, [], Infinity);
}

/** The chances of distinct numbers: those that are equal but for rounding are hit together.
 * @param {{predicted: number, chance: number}[]} hits @param {Grader} grader */
function chancesOfDistinct(hits, {rounding, least_rounded}) {
  hits.sort((one, other) => one.predicted - other.predicted);
  const isDistinct = (/** @type {number} */ number, /** @type {number} */ before) =>
    number - before > rounding * (Math.abs(number) + least_rounded);
  return hits
    .filter(({predicted}, n) => n === 0 || isDistinct(predicted, hits[n - 1].predicted))
    .map(({chance}) => chance);
}

/** The first of the causes whose chance is within what is allowed: as the document orders mistakes, then the nearest.
 * @param {Wrong} wrong @param {{cause: Cause, chance: number}[]} fits @param {number[]} chances @param {number} allowed */
function likeliest({mistakes, grader}, fits, chances, allowed) {
  const likely = fits.filter(({chance}) => chanceOfAny(chance, chances, grader) <= allowed).map(({cause}) => cause);
  /** @param {Cause} cause */
  const rank = cause => mistakes.edits.findIndex(({kind}) => kind === cause.kind);
  const [first] = likely.sort((one, other) => rank(one) - rank(other) || other.near - one.near);
  return first ?? null;
}

// The numbers that mistakes give.

/** @param {Wrong} wrong @param {Cause} cause @param {number} place */
function predictedBy({lines, cone, values}, {line, tree}, place) {
  /** @type {LineNumbers} */
  const moved = new Map();
  for (const name of cone) {
    const isChanged = name === line;
    if (!isChanged && !lines.uses(name).some(input => moved.has(input))) continue;
    const value = lines.value(isChanged ? tree : lines.tree(name), new Map([...values, ...moved]), lines.shape(name));
    if (value === null) return null;
    moved.set(name, value);
  }
  return moved.get(cone[cone.length - 1])?.[place] ?? null;
}

/** Every mistake that reaches the line, each once. @param {Wrong} wrong */
function possibleCauses({cone, mistakes: {edits, forms}}) {
  /** @type {Map<string, Cause>} */
  const causes = new Map();
  for (const {kind, words, target, form} of edits) {
    const near = cone.indexOf(target);
    const key = `${target} ${form}`;
    if (near >= 0 && !causes.has(key)) causes.set(key, {kind, words, line: target, tree: forms[form], near});
  }
  return causes.values();
}

// The chance that unrelated numbers fit a mistake: see gatewise.grading.causes.

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
 * @param {number[]} chances of all mistakes @param {Grader} grader */
function chanceOfAny(chance, chances, {equal_chances}) {
  return chances.reduce((sum, other) => (other < (1 - equal_chances) * chance ? sum + other : sum), chance);
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
