/** A number against what a chapter expects: the right one, and wrong ones that have a sentence each. */

const COARSEST = 25; // tolerances in half a unit of the last digit of a number that may be a mistake's
const NEAR = 5; // tolerances that a number is off which was rounded too early

/** Whether two numbers are at most so far apart, or as far but for rounding. @param {number} first @param {number} second
 * @param {number} room */
export const areWithin = (first, second, room) => Math.abs(first - second) <= room * (1 + 1e-9) + 1e-12;

/**
 * @typedef {object} Expectation
 * @property {number} right
 * @property {number} tolerance within which a number is right
 * @property {{value: number, says: string}[]} mistakes
 */

/**
 * Judge a number of a chapter: one that a mistake gives; right, if its digits separate the right number from every
 * mistake; too coarse; one that a mistake may give; near; or wrong.
 * @param {WrittenNumeral} typed @param {Expectation} expectation
 * @returns {Pick<Verdict, "status" | "says">}
 */
export function judgeExpected({value, tolerance: half}, {right, tolerance, mistakes}) {
  /** @param {number} number @param {number} room */
  const isWithin = (number, room) => areWithin(value, number, room);
  /** @param {number} number */
  const distance = number => Math.abs(value - number);
  const [nearest] = [...mistakes].sort((first, second) => distance(first.value) - distance(second.value));
  const exact = mistakes.find(mistake => isWithin(mistake.value, 0));
  if (exact) return {status: "expected", says: exact.says};
  const isNearest = nearest === undefined || distance(right) < distance(nearest.value);
  const isSeparate = !mistakes.some(mistake => isWithin(mistake.value, half));
  if (isWithin(right, tolerance) && isNearest && isSeparate) return {status: "right", says: ""};
  if (isWithin(right, half)) return {status: "coarse", says: ""};
  const room = half <= COARSEST * tolerance ? Math.max(half, tolerance) : tolerance;
  if (nearest && isWithin(nearest.value, room)) return {status: "expected", says: nearest.says};
  return {status: isWithin(right, NEAR * tolerance) ? "near" : "wrong", says: ""};
}
