/** Equations and what they are with the numbers of one unit, as MathML that is labelled with its text. */
import {filledPieces, filledText, mathElement, numberMath} from "./mathml.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./mathml.js").Numbers} Numbers */
/** @typedef {import("./mathml.js").Template} Template */
/** @typedef {{math: Template[], text: string, put: Template[] | null, told: Template[] | null}} Line */
/** @typedef {{symbols: Record<string, Template>, lines: Record<string, Line>, elided: import("./mathml.js").Elided}} Formulas */

/** @type {Formulas} */
const NO_FORMULAS = {symbols: {}, lines: {}, elided: {most: Infinity, first: 0, text: ""}}; // of a merge of directions

/** Which program a cell has; the head and the merging of directions come behind the programs. @param {Page} page
 * @param {number} layer @param {number} direction @returns {number} */
export function programOf(page, layer, direction) {
  const layers = page.doc.wiring.layers;
  return layer < layers.length ? layers[layer][direction].program : page.doc.program.length;
}

/** @param {Page} page @param {number} layer @param {number} direction @returns {Formulas} */
function formulasOf(page, layer, direction) {
  return page.doc.formulas[programOf(page, layer, direction)] ?? NO_FORMULAS;
}

/** What stands in the slots of a template. @param {Page} page @param {number} layer @param {number} direction
 * @param {number | null} step @returns {Numbers} */
export function numbersAt(page, layer, direction, step) {
  /** @param {string} name */
  const values = name => page.model.value(layer, direction, name, step);
  /** @param {string} name @returns {number[]} */
  const shape = name => page.model.shape(layer, direction, name);
  const {symbols, elided} = formulasOf(page, layer, direction);
  return {
    elided,
    entry(ref, unit) {
      if (typeof ref === "string") return values(ref)[shape(ref).length ? unit : 0];
      return values(ref[0])[ref.length > 1 ? ref[1] + unit : 0];
    },
    list(ref, unit) {
      if (typeof ref !== "string") return values(ref[0]);
      const columns = shape(ref)[1];
      return values(ref).subarray(unit * columns, (unit + 1) * columns);
    },
    pairs(matrices, turned, vector, unit) {
      const [rows, columns] = shape(matrices[0]);
      const factors = matrices.map(values);
      const right = values(vector);
      return Array.from({length: turned ? rows : columns}, (_, n) => {
        const at = turned ? n * columns + unit : unit * columns + n;
        return [factors.reduce((product, one) => product * one[at], 1), right[n]];
      });
    },
    count: name => values(name).length,
    symbol: name => symbols[name] ?? ["mi", name],
  };
}

/** Pieces of a formula in one element, which is read as its text. @param {Node[][]} pieces @param {string} text */
function labelled(pieces, text) {
  const whole = document.createElement("span");
  whole.className = "formula";
  whole.setAttribute("role", "math");
  whole.setAttribute("aria-label", text);
  for (const [place, piece] of pieces.entries()) {
    if (place) whole.append(document.createElement("wbr"));
    whole.append(mathElement("math", {"aria-hidden": "true"}, piece));
  }
  return whole;
}

function equalsNode() {
  return mathElement("mo", {form: "infix"}, ["="]);
}

/** The line of a quantity; null where it is given and not computed. @param {Page} page @param {number} layer
 * @param {number} direction @param {string} name @returns {Line | null} */
function lineOf(page, layer, direction, name) {
  const {lines} = formulasOf(page, layer, direction);
  return Object.hasOwn(lines, name) ? lines[name] : null;
}

/** A symbol alone. @param {Page} page @param {number} layer @param {number} direction @param {string} name @returns {Element} */
function symbolOf(page, layer, direction, name) {
  return labelled([symbolNodes(page, layer, direction, name)], name);
}

/** @param {Page} page @param {number} layer @param {number} direction @param {string} name */
function symbolNodes(page, layer, direction, name) {
  return filledPieces([["$s", name]], numbersAt(page, layer, direction, null), 0)[0];
}

/** The equation of a quantity in symbols; the symbol alone where it is given. @param {Page} page @param {number} layer
 * @param {number} direction @param {string} name @returns {Element} */
export function equationOf(page, layer, direction, name) {
  const line = lineOf(page, layer, direction, name);
  if (!line) return symbolOf(page, layer, direction, name);
  const left = symbolNodes(page, layer, direction, name);
  const right = filledPieces(line.math, numbersAt(page, layer, direction, null), 0);
  return labelled([[...left, equalsNode()], ...right], textOf(page, layer, direction, name));
}

/** The equation of a quantity as text. @param {Page} page @param {number} layer @param {number} direction
 * @param {string} name @returns {string} */
export function textOf(page, layer, direction, name) {
  const line = lineOf(page, layer, direction, name);
  return line ? `${name} = ${line.text}` : name;
}

/** The equation of a quantity with the numbers of one unit, and what it gives. @param {Page} page
 * @param {number} layer @param {number} direction @param {string} name @param {number | null} step @param {number} unit
 * @returns {Element} */
export function substitutionOf(page, layer, direction, name, step, unit) {
  const line = lineOf(page, layer, direction, name);
  const numbers = numbersAt(page, layer, direction, step);
  const rank = page.model.shape(layer, direction, name).length;
  const result = rank > 1 ? ["[", ["$list", name], "]"] : [["$n", "", name]];
  const shown = filledText(result, numbers, unit);
  const pieces = [[...symbolNodes(page, layer, direction, name), equalsNode()]];
  const fence = {stretchy: "false"};
  const end =
    rank > 1
      ? filledPieces(
          [
            ["mo", fence, "["],
            ["$list", name],
            ["mo", fence, "]"],
          ],
          numbers,
          unit,
        )
      : [[numberMath(numbers.entry(name, unit))]];
  const middle = line?.put && line.told ? filledText(line.told, numbers, unit) : shown;
  if (middle === shown || !line?.put) return labelled([...pieces, ...end], `${name} = ${shown}`);
  pieces.push(...filledPieces(line.put, numbers, unit));
  const [first, ...rest] = end;
  return labelled([...pieces, [equalsNode(), ...first], ...rest], `${name} = ${middle} = ${shown}`);
}
