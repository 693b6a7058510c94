/**
 * Numbers that were typed, against the equations: right, following from another number, or wrong. As sheets are marked:
 * each line is compared with what follows from the person's values earlier numbers.
 */
import {causeOf} from "./causes.js";
import {isCopied, linesOf, placeOf} from "./lines.js";
import {writtenNumber} from "./numerals.js";

/** @typedef {"right" | "close" | "coarse" | "near" | "follows" | "expected" | "wrong" | "unread" | "ambiguous"} Status */
/**
 * The verdict on a number that was typed: right; close, but for rounding; coarse, right as far as its few digits go; near;
 * following from an earlier number that is wrong; a mistake that a chapter expects; wrong; or no number.
 * @typedef {object} Verdict
 * @property {Status} status
 * @property {string} name of the line
 * @property {string} text as it was typed
 * @property {number} right in the model
 * @property {string[]} from their values lines that it follows from
 * @property {Cause | null} cause a likely one
 * @property {string} says of a mistake that a chapter expects: its sentence
 */
/**
 * @typedef {object} Judging
 * @property {Mistakes | null} mistakes
 * @property {Grader} grader the constants of gatewise.grading
 * @property {boolean} backward whether the number belongs to the backward pass
 * @property {Set<string>} [unseen] the lines that the person does not see; by default none is seen
 * @property {boolean} [usual] whether a usual slip is told that few digits cannot tell from others
 */
/**
 * @typedef {object} Sheet
 * @property {Lines} lines
 * @property {Ref} ref
 * @property {Grader} grader
 * @property {Map<string, WrittenNumeral>} numbers that could be read
 * @property {Set<string> | null} unseen lines that the person does not see; null where none is seen
 * @property {number} unit the tolerance of numbers that are not written
 * @property {LineNumbers} values what follows from their numbers, and what they wrote
 * @property {LineNumbers} slack the tolerance of these
 * @property {LineNumbers} expected what follows from the lines before, whatever is written
 * @property {LineNumbers} loose the tolerance of these
 * @property {Map<string, string[]>} tainted the wrong lines that one follows from
 */

const COARSE = 0.1; // the share of a number in half a unit of its last digit, where one decimal is too few
const SAME_SIZE = 1e-6; // the share of a number by which rounding may tell two sizes apart
const SEEN = 5e-5; // half a unit of the last digit of the numbers that the page shows

/**
 * Judge the numbers of one step that were typed.
 * @param {Model} model @param {Ref} ref one of them, for the cell, the step and the entry
 * @param {Record<string, string>} typed by quantity @param {Judging} judging @returns {Record<string, Verdict>}
 */
export function judgeLines(model, ref, typed, judging) {
  const lines = linesOf(model, ref, judging.backward);
  const names = lines.names.filter(name => typed[name]?.trim());
  const written = new Map(names.map(name => [name, writtenNumber(typed[name])]));
  const sheet = sheetOf(lines, ref, written, judging);
  /** @type {Record<string, Verdict>} */
  const verdicts = {};
  for (const name of coneOf(lines, names, new Set())) {
    carryOn(sheet, name);
    const number = written.get(name);
    if (number === undefined) continue;
    const status = number === null ? "unread" : number === "ambiguous" ? number : take(sheet, name, number);
    verdicts[name] = {...verdictOf(sheet, name, status), text: typed[name]};
  }
  const wrong = Object.values(verdicts).filter(verdict => verdict.status === "wrong");
  const {mistakes, usual = false} = judging;
  const count = wrong.length;
  if (mistakes) for (const verdict of wrong) verdict.cause = searched(sheet, mistakes, verdict.name, count, usual);
  return verdicts;
}

/** @param {Lines} lines @param {Ref} ref @param {Map<string, WrittenNumeral | "ambiguous" | null>} written
 * @param {Judging} judging @returns {Sheet} */
function sheetOf(lines, ref, written, {grader, unseen}) {
  /** @type {Map<string, WrittenNumeral>} */
  const numbers = new Map();
  for (const [name, number] of written) if (number !== null && number !== "ambiguous") numbers.set(name, number);
  const rounded = [...numbers].filter(([name, {value}]) => !isEqual(grader, value, rightOf(lines, ref, name)));
  const coarsest = Math.max(0, ...rounded.map(([, {tolerance}]) => Math.min(tolerance, grader.vague)));
  const unit = Math.min(coarsest, grader.vague / 10);
  const maps = {values: new Map(), slack: new Map(), expected: new Map(), loose: new Map(), tainted: new Map()};
  if (unseen) for (const name of lines.carried) maps.slack.set(name, hiddenDigits(grader, lines.right(name)));
  return {lines, ref, grader, numbers, unseen: unseen ?? null, unit, ...maps};
}

/** Whether a number that is written is a computed one, but for rounding. @param {Grader} grader @param {number} value
 * @param {number} computed */
function isEqual({rounding, least_rounded}, value, computed) {
  return Math.abs(value - computed) <= rounding * (Math.abs(computed) + least_rounded);
}

/** @param {Lines} lines @param {Ref} ref @param {string} name */
function rightOf(lines, ref, name) {
  return lines.right(name)[placeOf(lines.shape(name), ref.at)];
}

/** Compute a line from those before it. @param {Sheet} sheet @param {string} name */
function carryOn({lines, grader, unseen, unit, values, slack, expected, loose, tainted}, name) {
  const tree = lines.tree(name);
  const right = lines.right(name);
  const {value, slack: spread} = lines.spread(tree, values, slack, lines.shape(name)) ?? {
    value: right,
    slack: right.map(() => 0),
  };
  const size = value.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
  const within = tree.node === "sum" || tree.node === "product" ? unit : 0;
  const most = grader.most_units * unit + grader.most_share * size;
  const tolerance = spread.map(number => Math.min(number + within, most));
  expected.set(name, value);
  loose.set(name, tolerance);
  values.set(name, value);
  slack.set(name, isCopied(tree) ? tolerance : tolerance.map(number => number + unit));
  if (unseen !== null && !unseen.has(name) && !isCopied(tree)) slack.set(name, hiddenDigits(grader, right));
  const from = lines.inputs(name).flatMap(input => tainted.get(input) ?? []);
  if (from.length) tainted.set(name, [...new Set(from)]);
}

/** The tolerance of numbers that are read from the page. @param {Grader} grader
 * @param {Float64Array} numbers */
function hiddenDigits(grader, numbers) {
  return numbers.map(number => (Math.abs(number - Math.round(number * 1e4) / 1e4) > grader.rounding ? SEEN : 0));
}

/** Judge a number that is written, and go on from it. @param {Sheet} sheet @param {string} name @param {WrittenNumeral} typed
 * @returns {Status} */
function take(sheet, name, typed) {
  const {lines, ref, values, slack, tainted} = sheet;
  const status = statusOf(sheet, name, typed);
  if (status === "coarse" && typed.tolerance >= sheet.grader.vague) return status;
  if (status === "wrong") tainted.set(name, [name]);
  else if (status !== "follows") tainted.delete(name);
  const place = placeOf(lines.shape(name), ref.at);
  values.set(name, withNumber(values.get(name), place, typed.value));
  const isExact = isEqual(sheet.grader, typed.value, rightOf(lines, ref, name));
  const before = sheet.loose.get(name)?.[place] ?? 0;
  slack.set(name, withNumber(slack.get(name), place, isExact ? Math.min(typed.tolerance, before) : typed.tolerance));
  if (status === "follows") tainted.set(name, [name]);
  return status;
}

/** @param {Float64Array | undefined} numbers @param {number} place @param {number} value */
function withNumber(numbers, place, value) {
  const copy = Float64Array.from(numbers ?? []);
  copy[place] = value;
  return copy;
}

/** @param {Sheet} sheet @param {string} name @param {WrittenNumeral} typed @returns {Status} */
function statusOf({lines, ref, grader, expected, loose, tainted}, name, {value, tolerance}) {
  const place = placeOf(lines.shape(name), ref.at);
  const right = rightOf(lines, ref, name);
  const follows = /** @type {Float64Array} */ (expected.get(name))[place];
  const slack = /** @type {Float64Array} */ (loose.get(name))[place];
  const isVague = (/** @type {number} */ number) =>
    tolerance >= grader.vague && tolerance > (1 + SAME_SIZE) * COARSE * Math.abs(number);
  const least = tolerance + grader.rounding * (Math.abs(right) + grader.least_rounded);
  if (Math.abs(value - right) <= least + grader.single_share * Math.max(Math.abs(right), grader.least_single)) {
    const isCoarse = (1 + SAME_SIZE) * tolerance >= Math.abs(right) || isVague(right);
    return isCoarse && !isEqual(grader, value, right) ? "coarse" : "right";
  }
  const distance = Math.abs(value - follows);
  if (distance <= least + slack) {
    if (tainted.has(name)) return isVague(follows) && !isEqual(grader, value, follows) ? "coarse" : "follows";
    return tolerance >= Math.abs(value) ? "coarse" : "close";
  }
  const isTowardsZero = Math.abs(value) <= Math.max(Math.abs(follows) + slack, Math.abs(right)) + grader.rounding;
  const isFine = 2 * tolerance <= grader.fewest_cut * Math.abs(value);
  return distance <= 2 * (tolerance + slack) + grader.rounding && isTowardsZero && isFine ? "close" : "wrong";
}

/** @param {Sheet} sheet @param {string} name @param {Status} status @returns {Verdict} */
function verdictOf({lines, ref, tainted}, name, status) {
  const from = [...new Set(lines.inputs(name).flatMap(input => tainted.get(input) ?? []))];
  return {status, name, text: "", right: rightOf(lines, ref, name), from, cause: null, says: ""};
}

/** Lines and all that they are computed from within the step, in order; it does not look behind `known` ones.
 * @param {Lines} lines @param {string[]} names @param {Set<string>} known @returns {string[]} */
function coneOf(lines, names, known) {
  const cone = new Set(names);
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    for (const input of lines.inputs(name)) {
      if (cone.has(input) || known.has(input)) continue;
      cone.add(input);
      open.push(input);
    }
  }
  return lines.names.filter(name => cone.has(name));
}

/**
 * Search for the cause of a wrong number among the lines that the person does not see.
 * @param {Sheet} sheet @param {Mistakes} mistakes @param {string} name @param {number} searches @param {boolean} usual
 */
function searched(sheet, mistakes, name, searches, usual) {
  const {lines, ref, grader, numbers, values, unseen} = sheet;
  const place = placeOf(lines.shape(name), ref.at);
  const typed = /** @type {WrittenNumeral} */ (numbers.get(name));
  const before = new Map(values).set(name, /** @type {Float64Array} */ (sheet.expected.get(name)));
  const value = before.get(name)?.[place] ?? 0;
  const visible = unseen === null ? [] : lines.names.filter(line => !unseen.has(line));
  const known = new Set([...numbers.keys(), ...visible].filter(line => line !== name));
  const rounding = grader.rounding * (Math.abs(value) + grader.least_rounded);
  const margin = typed.tolerance + (sheet.loose.get(name)?.[place] ?? 0) + rounding;
  const cone = coneOf(lines, [name], known);
  const wrong = {lines, mistakes, grader, name, typed, values: before, cone, at: ref.at, margin};
  return causeOf(wrong, searches, usual);
}
