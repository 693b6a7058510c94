/** Verdicts in words: the phrases of the document with their slots filled. */
import {figure} from "../engine/figures.js";

const MOST_NAMES_LISTED = 5;

/** A phrase with its slots filled. @param {Phrases} phrases @param {string} key
 * @param {Record<string, string | number>} [put] @returns {string} */
export function phrase(phrases, key, put = {}) {
  const text = phrases[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (slot, name) => (Object.hasOwn(put, name) ? String(put[name]) : slot));
}

/** Names with an "and" before the last; of many, the first ones and how many more. @param {string[]} names
 * @param {Phrases} phrases */
export function listed(names, phrases) {
  const short =
    names.length > MOST_NAMES_LISTED
      ? [
          ...names.slice(0, MOST_NAMES_LISTED - 1),
          phrase(phrases, "more", {count: names.length - MOST_NAMES_LISTED + 1}),
        ]
      : names;
  if (short.length < 2) return short.join("");
  return phrase(phrases, "and", {before: short.slice(0, -1).join(", "), last: short[short.length - 1]});
}

/** A mistake, and the lines in which it was made. @param {Cause} cause @param {Phrases} phrases @returns {string} */
export function causeText({words, lines, gates, each}, phrases) {
  const mistake = words.replaceAll("{}", listed(lines, phrases));
  if (!gates.length) return mistake;
  if (each) return phrase(phrases, "of each", {mistake});
  return phrase(phrases, "for gates", {mistake, gates: listed(gates, phrases)});
}

/**
 * The sentences of a verdict.
 * @param {Verdict} verdict @param {Phrases} phrases @returns {string[]}
 */
export function verdictSentences(verdict, phrases) {
  const {status, name, right, expected, from} = verdict;
  const numbers = {
    name,
    right: near(right, verdict.text),
    typed: verdict.text.trim(),
    from: listed(from, phrases),
    expected: expected === null ? "" : near(expected, verdict.text),
  };
  if (status === "wrong") {
    const opening = from.length ? "wrong after" : "wrong";
    return [phrase(phrases, opening, numbers), ...whySentences(verdict, phrases)];
  }
  return [phrase(phrases, status, numbers)];
}

/** @param {Verdict} verdict @param {Phrases} phrases @returns {string[]} */
function whySentences({causes, more, digits}, phrases) {
  if (!causes.length && more) return [phrase(phrases, "many causes", {count: more})];
  if (!causes.length)
    return [digits === null ? phrase(phrases, "no cause") : phrase(phrases, "too few digits", {digits})];
  const mistakes = causes.map(cause => causeText(cause, phrases)).join(phrase(phrases, "or"));
  const sentences = [phrase(phrases, "likely cause", {causes: mistakes})];
  sentences.push(phrase(phrases, causes.length > 1 ? "each gives" : "one gives"));
  if (more) sentences.push(phrase(phrases, "other causes", {count: more}));
  return sentences;
}

/** A number with two more decimals than were typed, at least four. @param {number} value @param {string} text */
function near(value, text) {
  const decimals = /[.,](\d+)/.exec(text)?.[1].length ?? 0;
  return figure(value, Math.min(10, Math.max(4, decimals + 2)));
}
