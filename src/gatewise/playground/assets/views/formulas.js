/** Equations and what they are with the numbers of one unit, as MathML that is labelled with its text. */
import {filledPieces, filledText, mathElement} from "./mathml.js";

/** @type {Formulas} */
const NO_FORMULAS = {symbols: {}, lines: {}, elided: {most: Infinity, first: 0, text: ""}}; // of a merge of directions

/** The number of a cell's program; the head comes behind the programs. @param {Page} page @param {Place} place */
function programOf({doc}, {layer, direction}) {
  return doc.wiring.layers[layer]?.[direction]?.program ?? doc.program.length;
}

/** The words about a program or the head. @param {Page} page @param {Place} place @returns {SomeWords | null} */
export function wordsOf(page, place) {
  return page.doc.words[programOf(page, place)] ?? null;
}

/** The name of a quantity in words; its symbol where it has none. @param {Page} page @param {NameRef} ref */
export function quantityName(page, ref) {
  return wordsOf(page, ref)?.names[ref.name] ?? ref.name;
}

/** @param {Page} page @param {Place} place @returns {Formulas} */
function formulasOf(page, place) {
  return page.doc.formulas[programOf(page, place)] ?? NO_FORMULAS;
}

/** The numbers in the slots of a template. @param {Page} page @param {Place & {step: number | null}} place
 * @returns {SlotNumbers} */
export function numbersAt(page, {layer, direction, step}) {
  const place = {layer, direction, step};
  /** @param {string} name */
  const values = name => page.model.value({...place, name});
  /** @param {string} name @returns {number[]} */
  const shape = name => page.model.shape({...place, name});
  const {symbols, elided} = formulasOf(page, place);
  return {
    elided,
    entry(ref, unit) {
      if (typeof ref === "string") return values(ref)[shape(ref).length ? unit : 0];
      const [name, start] = ref;
      return values(name)[start === undefined ? 0 : start + unit];
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
        return [factors.reduce((product, factor) => product * factor[at], 1), right[n]];
      });
    },
    count: name => values(name).length,
    symbol: name => symbols[name] ?? ["mi", name],
  };
}

/** Pieces of a formula in one element, which is read as its text. @param {Node[][]} pieces @param {string} text */
function labelled(pieces, text) {
  const formula = document.createElement("span");
  formula.className = "formula";
  formula.setAttribute("role", "math");
  formula.setAttribute("aria-label", text);
  for (const [place, piece] of pieces.entries()) {
    if (place) formula.append(document.createElement("wbr"));
    formula.append(mathElement("math", {"aria-hidden": "true"}, piece));
  }
  return formula;
}

function equalsNode() {
  return mathElement("mo", {form: "infix"}, ["="]);
}

/** The line of a quantity; null where it is given and not computed. @param {Page} page @param {NameRef} ref
 * @returns {Line | null} */
function lineOf(page, ref) {
  const {lines} = formulasOf(page, ref);
  return Object.hasOwn(lines, ref.name) ? lines[ref.name] : null;
}

/** @param {Page} page @param {NameRef} ref */
function symbolNodes(page, ref) {
  return filledPieces([["$s", ref.name]], numbersAt(page, {...ref, step: null}), 0)[0];
}

/** The equation of a quantity in symbols; the symbol alone where it is given. @param {Page} page @param {NameRef} ref
 * @returns {Element} */
export function equationOf(page, ref) {
  const line = lineOf(page, ref);
  const left = symbolNodes(page, ref);
  if (!line) return labelled([left], ref.name);
  const right = filledPieces(line.math, numbersAt(page, {...ref, step: null}), 0);
  return labelled([[...left, equalsNode()], ...right], textOf(page, ref));
}

/** The equation of a quantity as text. @param {Page} page @param {NameRef} ref @returns {string} */
export function textOf(page, ref) {
  const line = lineOf(page, ref);
  return line ? `${ref.name} = ${line.text}` : ref.name;
}

/** The equation of a quantity with the numbers of one unit, and its value. @param {Page} page @param {StepRef} ref
 * @param {number} unit @param {boolean} [withValue] @returns {Element} */
export function substitutionOf(page, ref, unit, withValue = true) {
  const {name} = ref;
  const line = lineOf(page, ref);
  const numbers = numbersAt(page, ref);
  const isMatrix = page.model.shape(ref).length > 1;
  /** @type {Template[]} */
  const plain = isMatrix ? ["[", ["$list", name], "]"] : [["$n", "", name]];
  const result = filledText(plain, numbers, unit);
  const pieces = [[...symbolNodes(page, ref), equalsNode()]];
  const fence = {stretchy: "false"};
  /** @type {Template[]} */
  const bracketed = plain.map(part => (typeof part === "string" ? ["mo", fence, part] : part));
  const end = filledPieces(bracketed, numbers, unit);
  const middle = line?.put && line.told ? filledText(line.told, numbers, unit) : result;
  if (middle === result || !line?.put) return labelled([...pieces, ...end], `${name} = ${result}`);
  pieces.push(...filledPieces(line.put, numbers, unit));
  if (!withValue) return labelled(pieces, `${name} = ${middle}`);
  const [first, ...rest] = end;
  return labelled([...pieces, [equalsNode(), ...first], ...rest], `${name} = ${middle} = ${result}`);
}
