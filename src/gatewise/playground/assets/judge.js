/**
 * Numbers that were typed, against the equations: what is right, what follows from other numbers, and which line went
 * wrong. As sheets are marked: each line is compared with what follows from the person's own earlier numbers.
 */
import {causesOf} from "./causes.js";
import {isCopied, linesOf, placeOf} from "./lines.js";
import {writtenNumber} from "./numerals.js";

/** @typedef {import("./store.js").Ref} Ref */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./lines.js").Lines} Lines */
/** @typedef {import("./lines.js").Numbers} Numbers */
/** @typedef {import("./causes.js").Cause} Cause */
/** @typedef {import("./mistakes.js").Mistakes} Mistakes */
/** @typedef {import("./numerals.js").Written} Written */
/** @typedef {"right" | "close" | "cut" | "coarse" | "follows" | "wrong" | "unread" | "ambiguous"} Status */
/**
 * What is to be said of a number that was typed: right; close, but for rounding on the way; cut off after its last
 * digit; coarse, as far as its few digits tell; following from an earlier one that is wrong; wrong; or no number.
 * @typedef {object} Verdict
 * @property {Status} status
 * @property {string} name of the line
 * @property {string} text as it was typed
 * @property {number} right in the model
 * @property {number | null} expected from the person's own numbers, where that is another
 * @property {string[]} from their own lines that it follows from
 * @property {Cause[]} causes
 * @property {number} more mistakes that would give it too
 * @property {number | null} digits how many decimals would do to tell the cause
 */
/**
 * @typedef {object} How
 * @property {Mistakes | null} mistakes
 * @property {boolean} backward whether the number belongs to the backward pass
 * @property {(line: string, axis: number, n: number) => string} called an entry of a line
 * @property {Set<string>} [unseen] the lines that the person does not see; by default none is seen
 */

const ROUNDING = 1e-9;
const SINGLE = 32 * 2 ** -24;  // numbers may have been computed in single precision
const VAGUE = 0.05;  // half a unit of the last digit where fewer than two decimals are written
const SEEN = 5e-5;  // half a unit of the last digit of the numbers that the page shows
const MOST_UNITS = 100, MOST_SHARE = 0.05;  // how far rounding on the way may move a line

/**
 * Judge the numbers of one step that were typed.
 * @param {Model} model @param {Ref} ref one of them, for the cell, the step and the entry
 * @param {Record<string, string>} typed by quantity @param {How} how
 * @returns {Record<string, Verdict>}
 */
export function judgeLines(model, ref, typed, how) {
  const lines = linesOf(model, ref, how.backward, how.mistakes?.nonlinearities);
  const names = lines.names.filter((name) => typed[name]?.trim());
  const written = new Map(names.map((name) => [name, writtenNumber(typed[name])]));
  const numbers = new Map([...written].filter((one) => one[1] !== null && one[1] !== "ambiguous"));
  const state = stateOf(lines, ref, /** @type {Map<string, Written>} */ (numbers), how.unseen ?? null);
  if (how.unseen) for (const name of takenBy(model, ref)) state.slack.set(name, hiddenDigits(lines.right(name)));
  /** @type {Record<string, Verdict>} */
  const verdicts = {};
  for (const name of coneOf(lines, names, new Set())) {
    carryOn(state, name);
    const found = written.get(name);
    if (found === undefined) continue;
    const status = found === null ? "unread" : found === "ambiguous" ? found : answered(state, name, found);
    verdicts[name] = {...verdictOf(state, name, status), text: typed[name]};
  }
  const wrong = Object.values(verdicts).filter((one) => one.status === "wrong");
  const searches = wrong.length === 1 ? 1 : 2 * wrong.length;
  if (how.mistakes) wrong.forEach((one, n) => Object.assign(one, searched(how, state, verdicts, one.name, n, searches)));
  return verdicts;
}

/**
 * @typedef {object} State
 * @property {Lines} lines
 * @property {Ref} ref
 * @property {Map<string, Written>} numbers that could be read
 * @property {Set<string> | null} unseen lines that the person does not see; null where none is seen
 * @property {number} unit how far off numbers may be that are not written
 * @property {Numbers} own what follows from their numbers, and what they wrote
 * @property {Numbers} slack
 * @property {Numbers} expected what follows from the lines before, whatever is written
 * @property {Numbers} loose how far off that may be
 * @property {Map<string, string[]>} tainted the wrong lines that one follows from
 */

/** @param {Lines} lines @param {Ref} ref @param {Map<string, Written>} numbers @param {Set<string> | null} unseen
 * @returns {State} */
function stateOf(lines, ref, numbers, unseen) {
  const rounded = [...numbers].filter(([name, {value}]) => Math.abs(value - rightOf(lines, ref, name)) > ROUNDING);
  const coarsest = Math.max(0, ...rounded.map(([, {tolerance}]) => Math.min(tolerance, VAGUE)));
  const unit = Math.min(coarsest, VAGUE / 10);
  const maps = {own: new Map(), slack: new Map(), expected: new Map(), loose: new Map(), tainted: new Map()};
  return {lines, ref, numbers, unseen, unit, ...maps};
}

/** @param {Lines} lines @param {Ref} ref @param {string} name */
function rightOf(lines, ref, name) {
  return lines.right(name)[placeOf(lines.shape(name), ref.at)];
}

/** Compute a line from those before it. @param {State} state @param {string} name */
function carryOn({lines, unseen, unit, own, slack, expected, loose, tainted}, name) {
  const tree = lines.tree(name), right = lines.right(name);
  const found = lines.spread(tree, own, slack, lines.shape(name)) ?? {value: right, slack: new Float64Array(right.length)};
  const size = found.value.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  const within = tree.node === "sum" || tree.node === "product" ? unit : 0;
  const off = found.slack.map((one) => Math.min(one + within, MOST_UNITS * unit + MOST_SHARE * size));
  expected.set(name, found.value);
  loose.set(name, off);
  own.set(name, found.value);
  slack.set(name, isCopied(tree) ? off : off.map((one) => one + unit));
  if (unseen !== null && !unseen.has(name) && !isCopied(tree)) slack.set(name, hiddenDigits(right));
  const from = lines.inputs(name).flatMap((one) => tainted.get(one) ?? []);
  if (from.length) tainted.set(name, [...new Set(from)]);
}

/** How far off numbers are that are read from the page. @param {Float64Array} numbers */
function hiddenDigits(numbers) {
  return numbers.map((one) => (Math.abs(one - Math.round(one * 1e4) / 1e4) > ROUNDING ? SEEN : 0));
}

/** What a step takes from its neighbours. @param {Model} model @param {Ref} ref @returns {string[]} */
function takenBy(model, {layer, direction}) {
  const {carry, carry_backward: back} = model.layers[layer].cells[direction].program;
  return [...carry, ...back].map((one) => one.into);
}

/** Judge a number that is written, and go on from it. @param {State} state @param {string} name @param {Written} typed
 * @returns {Status} */
function answered(state, name, typed) {
  const {lines, ref, own, slack, tainted} = state;
  const status = statusOf(state, name, typed);
  if (status === "wrong") tainted.set(name, [name]);
  else if (status !== "follows") tainted.delete(name);
  if (status === "coarse" && typed.tolerance >= VAGUE) return status;
  const place = placeOf(lines.shape(name), ref.at);
  own.set(name, changed(own.get(name), place, typed.value));
  const exact = Math.abs(typed.value - rightOf(lines, ref, name)) <= 1e-12 * Math.abs(typed.value);
  const before = state.loose.get(name)?.[place] ?? 0;
  slack.set(name, changed(slack.get(name), place, exact ? Math.min(typed.tolerance, before) : typed.tolerance));
  if (status === "follows") tainted.set(name, [name]);
  return status;
}

/** @param {Float64Array | undefined} numbers @param {number} place @param {number} value */
function changed(numbers, place, value) {
  const found = Float64Array.from(numbers ?? []);
  found[place] = value;
  return found;
}

/** @param {State} state @param {string} name @param {Written} typed @returns {Status} */
function statusOf({lines, ref, expected, loose, tainted}, name, {value, tolerance}) {
  const place = placeOf(lines.shape(name), ref.at);
  const right = rightOf(lines, ref, name);
  const follows = /** @type {Float64Array} */ (expected.get(name))[place];
  const slack = /** @type {Float64Array} */ (loose.get(name))[place];
  const least = tolerance + ROUNDING * (Math.abs(right) + 1e-3);
  if (Math.abs(value - right) <= least + SINGLE * Math.max(Math.abs(right), 1e-2)) {
    return right !== 0 && tolerance >= Math.abs(right) ? "coarse" : "right";
  }
  const off = Math.abs(value - follows);
  if (off <= least + slack) {
    if (tainted.has(name)) return "follows";
    return tolerance >= Math.abs(value) ? "coarse" : "close";
  }
  const towardsZero = Math.abs(value) <= Math.max(Math.abs(follows) + slack, Math.abs(right)) + ROUNDING;
  const fine = 2 * tolerance <= 0.1 * Math.abs(value);
  return off <= 2 * (tolerance + slack) + ROUNDING && towardsZero && fine ? "cut" : "wrong";
}

/** @param {State} state @param {string} name @param {Status} status @returns {Verdict} */
function verdictOf({lines, ref, expected, tainted}, name, status) {
  const right = rightOf(lines, ref, name);
  const from = lines.inputs(name).flatMap((one) => tainted.get(one) ?? []);
  const follows = expected.get(name)?.[placeOf(lines.shape(name), ref.at)] ?? right;
  const own = from.length > 0 && follows !== right ? follows : null;
  return {status, name, text: "", right, expected: own, from: [...new Set(from)], causes: [], more: 0, digits: null};
}

/** Lines and all that they are computed from within the step, in order; `known` ones are not looked behind.
 * @param {Lines} lines @param {string[]} wanted @param {Set<string>} known @returns {string[]} */
function coneOf(lines, wanted, known) {
  const found = new Set(wanted), open = [...wanted];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    for (const inner of lines.inputs(name)) {
      if (found.has(inner) || known.has(inner)) continue;
      found.add(inner);
      open.push(inner);
    }
  }
  return lines.names.filter((name) => found.has(name));
}

/**
 * Search for what gives a wrong number: first among the lines that the person does not see, then among all.
 * @param {How} how @param {State} state @param {Record<string, Verdict>} verdicts @param {string} name
 * @param {number} search @param {number} searches
 */
function searched(how, state, verdicts, name, search, searches) {
  const {lines, ref, numbers, own, slack, expected, loose} = state;
  const place = placeOf(lines.shape(name), ref.at);
  const typed = /** @type {Written} */ (numbers.get(name));
  const before = new Map(own).set(name, /** @type {Float64Array} */ (expected.get(name)));
  const value = before.get(name)?.[place] ?? 0;
  const settled = new Set(Object.keys(verdicts).filter((one) => verdicts[one].status !== "wrong" && numbers.has(one)));
  const known = new Set([...numbers.keys()].filter((one) => one !== name));
  const wrong = {
    lines, name, typed, own: before, slack, unit: state.unit, settled, at: ref.at,
    mistakes: /** @type {Mistakes} */ (how.mistakes),
    margin: typed.tolerance + (loose.get(name)?.[place] ?? 0) + ROUNDING * (Math.abs(value) + 1e-3),
    called: how.called,
  };
  const whole = coneOf(lines, [name], known);
  const {unseen} = how;
  if (unseen === undefined) return causesOf({...wrong, cone: whole, share: 1}, search, searches);
  const seen = new Set([...known, ...lines.names.filter((one) => !unseen.has(one))]);
  const first = causesOf({...wrong, cone: coneOf(lines, [name], seen), share: 0.5}, search, searches);
  if (first.causes.length || first.more) return first;
  const pass = lines.backward(name) ? new Set([...known, ...lines.names.filter((one) => !lines.backward(one))]) : known;
  const second = causesOf({...wrong, cone: coneOf(lines, [name], pass), share: 0.5}, search, searches);
  return {...second, digits: first.digits ?? second.digits};
}
