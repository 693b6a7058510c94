/** What is taken away from the page: a step as NumPy source, and the gates as a table. */
import {shortest} from "../engine/figures.js";
import {programOf} from "./formulas.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./sentences.js").Words} Words */
/** @typedef {{given: [string, string][], lines: string[]}} Pass */

const WIDTH = 88;

/**
 * A step as a Python program of its own that prints the numbers of the page; backward too where the page shows that.
 * @param {Page} page @param {number} layer @param {number} direction @param {number} step @returns {string}
 */
export function sourceOf(page, layer, direction, step) {
  const words = page.doc.words[programOf(page, layer, direction)];
  const source = (words?.source ? words : page.doc.words[0])?.source;
  const place = words?.source ? [layer, direction] : [0, 0];
  if (!source) return "";
  /** @param {Pass} pass */
  const written = ({given, lines}) => {
    const numbers = given.map(([name, called]) => {
      const shape = page.model.shape(place[0], place[1], name);
      return `${called} = ${asArray(page.model.value(place[0], place[1], name, step), shape)}`;
    });
    return ["", ...numbers, "", ...lines];
  };
  const parts = [source.head, "", ...written(source.forward)];
  if (page.store.state.backward) parts.push(...written(source.backward));
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
    const one = literal(value) + (place < values.length - 1 ? "," : "]");
    const isFull = place > 0 && line + one.length + 1 > WIDTH;
    text += (isFull ? `\n${indent}` : place ? " " : "") + one;
    line = (isFull ? indent.length : line + 1) + one.length;
  }
  return values.length ? text : "[]";
}

/**
 * The gates of all cells as a table in CSV: a row for each step, and a column for each gate of each unit.
 * @param {Page} page @returns {string}
 */
export function gatesCsv({doc, model}) {
  /** @type {Map<string, string[]>} */
  const columns = new Map([["time", stepNames(doc, model.steps)]]);
  const several = model.layers.length > 1 || model.layers[0].cells.length > 1;
  for (const [layer, {cells}] of model.layers.entries()) {
    for (const [direction, cell] of cells.entries()) {
      /** @type {Words} */
      const words = doc.words[doc.wiring.layers[layer][direction].program];
      for (const [letter, gate] of words.gates) {
        for (const [unit, name] of cell.units.entries()) {
          const full = `${several ? `layer ${layer} ${cell.direction} ` : ""}${gate} ${name}`;
          const free = columns.has(full) ? `${full} (${unit})` : full;
          columns.set(free, Array.from(model.series(layer, direction, letter, unit), shortest));
        }
      }
    }
  }
  const unsafe = doc.words[0]?.formula ?? "";
  const heads = [...columns.keys()].map(name => quoted(name, unsafe));
  const times = columns.get("time")?.map(name => quoted(name, unsafe)) ?? [];
  const series = [...columns.values()].slice(1);
  const rows = times.map((time, step) => [time, ...series.map(values => values[step])].join(","));
  return [heads.join(","), ...rows, ""].join("\n");
}

/** @param {any} doc @param {number} steps @returns {string[]} */
function stepNames(doc, steps) {
  return doc.labels.times ?? Array.from({length: steps}, (_, step) => String(step));
}

/** A cell of the table; what a spreadsheet would compute is text. @param {string} name @param {string} unsafe */
function quoted(name, unsafe) {
  const begins = name.trimStart()[0];
  const cell = begins && unsafe.includes(begins) ? `'${name}` : name;
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
