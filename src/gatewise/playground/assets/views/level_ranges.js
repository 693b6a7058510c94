/** The ranges of the stage's levels. */
import {isHidden} from "./visibility.js";

const LEAST = 1e-12; // that a level is drawn to

/**
 * A function that returns the least range of round numbers that holds a quantity of one unit at all steps, and 0. Edits
 * only widen it, so that a level falls where its number does. While the run is still being computed, it stays as it was:
 * to ask for all steps would make the chosen one wait.
 * @param {Page} page
 */
export function rangesOf(page) {
  /** @type {Map<string, {runs: number, answer: Answer | null, range: LevelRange}>} */
  const ranges = new Map();
  /** @param {State} state @param {string} name @returns {LevelRange} */
  return (state, name) => {
    const {layer, direction, unit, edits, answer} = state;
    const key = [layer, direction, unit, name].join();
    const last = ranges.get(key);
    if (last && ((last.runs === page.runs && last.answer === answer) || !page.settled)) return last.range;
    if (!page.settled) return {low: 0, high: 1};
    const number = {layer, direction, name, at: [unit]};
    const series = page.model.series(number);
    const now = roundRange(series.filter((_, step) => !isHidden(state, {...number, step})));
    const before = edits.length && last ? last.range : now;
    const range = {low: Math.min(now.low, before.low), high: Math.max(now.high, before.high)};
    ranges.set(key, {runs: page.runs, answer, range});
    return range;
  };
}

/** @param {Float64Array} values @returns {LevelRange} */
function roundRange(values) {
  const known = values.filter(Number.isFinite);
  const greatest = known.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (greatest < LEAST) return {low: 0, high: 1};
  const digit = 10 ** Math.floor(Math.log10(greatest));
  const end = Number((Math.ceil(greatest / digit - 1e-9) * digit).toPrecision(2));
  return {low: known.some(value => value < -0.02 * end) ? -end : 0, high: end};
}
