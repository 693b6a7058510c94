/** Exports of the page: a step as NumPy source, and the gates as a table. */
import {shortest} from "../engine/figures.js";
import {pagePhrase} from "./phrases.js";

const WIDTH = 88;

/** The words of a cell's program. @param {Page} page @param {Place} place */
function cellWords({doc}, {layer, direction}) {
  return /** @type {Words} */ (doc.words[doc.wiring.layers[layer][direction].program]);
}

/** A step as a Python program that prints the numbers of the page; backward too where the page shows that.
 * @param {Page} page @param {Place & {step: number}} place @returns {string} */
export function sourceOf(page, {layer, direction, step}) {
  const {model, store} = page;
  const {source} = cellWords(page, {layer, direction});
  /** @param {Pass} pass */
  const written = ({given, lines}) => {
    const numbers = given.map(([name, variable]) => {
      const ref = {layer, direction, name, step};
      return `${variable} = ${asArray(model.value(ref), model.shape(ref))}`;
    });
    return ["", ...numbers, "", ...lines];
  };
  const parts = [source.head, "", ...written(source.forward)];
  if (store.state.backward) parts.push(...written(source.backward));
  return `${parts.join("\n")}\n`;
}

/** A number as Python source. @param {number} value */
function literal(value) {
  return Number.isFinite(value) ? shortest(value) : shortest(value).replace(/inf|nan/, "np.$&");
}

/** An array as Python source. @param {Float64Array} values @param {number[]} shape */
function asArray(values, shape) {
  if (shape.length === 0) return literal(values[0]);
  if (shape.length === 1) return `np.array(${rowSource(values, "    ")})`;
  const columns = shape[1];
  const rows = Array.from({length: shape[0]}, (_, n) => values.subarray(n * columns, (n + 1) * columns));
  return `np.array([\n${rows.map(row => `    ${rowSource(row, "     ")},\n`).join("")}])`;
}

/** Numbers in brackets, in lines that are not too long. @param {Float64Array} values @param {string} indent */
function rowSource(values, indent) {
  let text = "[";
  let line = indent.length;
  for (const [place, value] of values.entries()) {
    const item = literal(value) + (place < values.length - 1 ? "," : "]");
    const isFull = place > 0 && line + item.length + 1 > WIDTH;
    text += (isFull ? `\n${indent}` : place ? " " : "") + item;
    line = (isFull ? indent.length : line + 1) + item.length;
  }
  return values.length ? text : "[]";
}

/**
 * The gates of all cells as a table in CSV: a row for each step, and a column for each gate of each unit.
 * @param {Page} page @returns {string}
 */
export function gatesCsv(page) {
  const {doc, model} = page;
  const times = doc.labels.times ?? Array.from({length: model.steps}, (_, step) => String(step));
  /** @type {Map<string, string[]>} */
  const columns = new Map();
  const several = model.layers.length > 1 || model.layers[0].cells.length > 1;
  for (const [layer, {cells}] of model.layers.entries()) {
    for (const [direction, cell] of cells.entries()) {
      const way = `${pagePhrase(page, "cells.layer")} ${layer} ${pagePhrase(page, `cells.${cell.direction}`)} `;
      for (const [name, gate] of cellWords(page, {layer, direction}).gates) {
        for (const [k, unit] of cell.units.entries()) {
          const full = `${several ? way : ""}${gate} ${unit}`;
          const free = columns.has(full) ? `${full} (${k})` : full;
          columns.set(free, Array.from(model.series({layer, direction, name, at: [k]}), shortest));
        }
      }
    }
  }
  const unsafe = new RegExp(cellWords(page, {layer: 0, direction: 0}).formula, "g");
  const heads = [pagePhrase(page, "strip.time"), ...columns.keys()].map(name => quoted(name, unsafe));
  const series = [...columns.values()];
  const rows = times.map((time, step) => [quoted(time, unsafe), ...series.map(values => values[step])].join(","));
  return [heads.join(","), ...rows, ""].join("\n");
}

/** A cell of the table; what a spreadsheet would compute is text. @param {string} name @param {RegExp} unsafe */
function quoted(name, unsafe) {
  const cell = `\n${name}`.replace(unsafe, "$1'").slice(1);
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
