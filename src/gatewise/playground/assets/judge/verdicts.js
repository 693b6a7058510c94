/** Verdicts in words: the phrases of the document with their slots filled. */
import {figure} from "../engine/figures.js";

/** A phrase with its slots filled. @param {Phrases} phrases @param {string} key
 * @param {Record<string, string | number>} [put] @returns {string} */
export function phrase(phrases, key, put = {}) {
  const text = phrases[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (slot, name) => (Object.hasOwn(put, name) ? String(put[name]) : slot));
}

/** Names with an "and" before the last. @param {string[]} names @param {Phrases} phrases */
function listed(names, phrases) {
  if (names.length < 2) return names.join("");
  return phrase(phrases, "and", {before: names.slice(0, -1).join(", "), last: names[names.length - 1]});
}

/** A verdict in words. @param {Verdict} verdict @param {Phrases} phrases @returns {string} */
export function verdictSentence({status, says, right, text, from, cause}, phrases) {
  if (status === "expected") return says;
  const key = status === "wrong" && from.length ? "wrong after" : status;
  const put = {right: figure(right), typed: text.trim(), from: listed(from, phrases)};
  const slip = cause && phrase(phrases, "slip", {cause: cause.words.replaceAll("{}", cause.line)});
  return [phrase(phrases, key, put), status === "wrong" && slip].filter(Boolean).join(" ");
}
