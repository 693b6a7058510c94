/** Verdicts in words: the phrases of the document with their slots filled. */
import {figure} from "../engine/figures.js";

/** A phrase with its slots filled. @param {Phrases} phrases @param {string} key
 * @param {Record<string, string | number>} [put] @returns {string} */
export function phrase(phrases, key, put = {}) {
  const text = phrases[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (slot, name) => (Object.hasOwn(put, name) ? String(put[name]) : slot));
}

const WHOLE = /^[+\-−–—]?\d+$/;

/** A verdict in words; a whole number is no rounded one, but a guess. @param {Verdict} verdict @param {Phrases} phrases @returns {string} */
export function verdictSentence({status, says, right, text, from, cause}, phrases) {
  if (status === "expected") return says;
  const isGuess = status === "coarse" && WHOLE.test(text.trim());
  const key = status === "wrong" && from.length ? "wrong after" : isGuess ? "whole" : status;
  const said = status === "follows" && from.length > 1 ? "follows several" : key;
  const last = from.length > 1 ? [from.slice(-2).join(` ${phrase(phrases, "and")} `)] : from;
  const put = {right: figure(right), typed: text.trim(), from: [...from.slice(0, -2), ...last].join(", ")};
  const slip = cause && phrase(phrases, "slip", {cause: cause.words.replaceAll("{}", cause.line)});
  return [phrase(phrases, said, put), status === "wrong" && slip].filter(Boolean).join(" ");
}
