/** A number against what a chapter expects: the right one, and wrong ones that have a sentence each. */

const COARSEST = 25; // tolerances in half a unit of the last digit of a number that may be a mistake's,
const COARSEST_SHARE = 0.01; // or so much of that number
const NEAR = 10; // tolerances that a number is off which was rounded too early,
const NEAR_SHARE = 0.05; // and the most of the right number

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
 * Judge a number of a chapter. A mistake comes first, however close it is: its number exactly, or the one that is nearest
 * in the digits that were typed. A number is right if it and its digits are within the tolerance; close, if it agrees with
 * the right one in too few digits; near, if it was rounded too early; or wrong.
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
  const isFine = areWithin(half, 0, tolerance) || isWithin(right, 0);
  if (isWithin(right, tolerance) && isFine && isNearest && isSeparate) return {status: "right", says: ""};
  const coarsest = Math.max(COARSEST * tolerance, COARSEST_SHARE * Math.abs(value));
  const room = half <= coarsest ? Math.max(half, tolerance) : tolerance;
  if (nearest && !isNearest && half <= tolerance && isWithin(nearest.value, room)) {
    return {status: "expected", says: nearest.says};
  }
  if (isWithin(right, Math.max(half, tolerance))) return {status: "coarse", says: ""};
  if (nearest && isWithin(nearest.value, room)) return {status: "expected", says: nearest.says};
  const isNear = isWithin(right, NEAR * tolerance) && isWithin(right, NEAR_SHARE * Math.abs(right));
  return {status: isNear ? "near" : "wrong", says: ""};
}
