/** Which mistakes may be named at all: those that unrelated numbers would hardly ever fit, as when sheets are marked. */

/** @typedef {import("./mistakes.js").Tier} Tier */

/** The chance that a cause is named for unrelated numbers is at most 1 %, shared among the tiers. */
const BOUND = {likely: 0.004, structural: 0.001, "one entry": 0.005};
const MOST_DECIMALS_ON_A_GRID = 3;

/**
 * The chance that one search may take of a tier's bound: the first wrong line is the one that matters most.
 * @param {Tier} tier @param {number} search how many came before @param {number} searches how many there are
 */
export function shareOf(tier, search, searches) {
  return (BOUND[tier] / ((search + 1) * (search + 2))) * ((searches + 1) / searches);
}

/**
 * The chance that an unrelated number fits a mistake that moves the right one by so much. Its distance from the right
 * one is as likely to lie between one power of ten and the next as between any two others.
 * @param {number} moved @param {number} margin how far off a number may be and still be right
 * @param {number} size the right number's
 */
export function chanceOf(moved, margin, size) {
  const spread = Math.max(1, Math.log(Math.max(size, margin) / margin));
  return margin / Math.max(moved, margin) / spread;
}

/**
 * The chance that an unrelated number fits a mistake, or any of those that it fits less likely.
 * @param {number} chance @param {number[]} chances of all mistakes of its tier
 */
export function inAll(chance, chances) {
  return chances.reduce((sum, one) => (one < chance ? sum + one : sum), chance);
}

/** How many decimals more bring a chance below what is allowed. @param {number} chance @param {number} allowed */
export function decimalsMore(chance, allowed) {
  return Math.max(1, Math.ceil(Math.log10(chance / allowed)));
}

/**
 * Half the distance of the numbers that may be written, where the right one and the written one have few decimals: with
 * inputs and weights of one digit a sum has two, and what is written is one of few numbers.
 * @param {number[]} numbers
 */
export function gridOf(numbers) {
  for (let decimals = 0; decimals <= MOST_DECIMALS_ON_A_GRID; decimals++) {
    const scale = 10 ** decimals;
    if (numbers.every((one) => Math.abs(one - Math.round(one * scale) / scale) < 1e-9)) return 0.5 / scale;
  }
  return 0;
}
