/** The words of the page, in its language: see languages/language.py. */
import {phrase} from "../judge/verdicts.js";

/** A phrase of the page with its slots filled. @param {{doc: Pick<RunDocument, "phrases">}} page
 * @param {string} key of its section and its own, as in "player.play"; alone, it is of the section "lesson"
 * @param {Record<string, string | number>} [put] @returns {string} */
export function pagePhrase({doc: {phrases}}, key, put) {
  const [section, name] = key.includes(".") ? key.split(".") : ["lesson", key];
  return phrase(phrases?.[section] ?? {}, name, put);
}

/** A phrase of the page as nodes, with others in its slots. @param {{doc: Pick<RunDocument, "phrases">}} page
 * @param {string} key @param {Record<string, Child | Child[]>} put @returns {Child[]} */
export function phraseNodes(page, key, put) {
  const parts = pagePhrase(page, key).split(/\{(\w+)\}/);
  return parts.flatMap((part, n) => (n % 2 ? put[part] : part));
}
