/**
 * Formulas as MathML and as text, from templates of the document in which numbers have slots.
 *
 * A template is text; an array [tag, attributes?, …templates], an element; or an array whose first entry begins with $:
 * ["$s", name]: what a symbol looks like; ["$n", how, ref]: a number, how: "" plain, "t" in brackets if negative, "b"
 * also if it is in scientific notation, "a" without its sign, "#" how many entries a vector has; ["$list", ref]: numbers side by side;
 * ["$row", …templates]: one element; ["$sum", …terms]. A term is [sign, …templates], sign "+" or "-";
 * ["±", ref, …templates] or, of a number alone, ["±0", ref, …templates], whose sign is that of the number;
 * ["$pairs", matrices, turned, vector]: a product for each column; ["$each", vector, term]: a term for each entry.
 * A ref is a name: its entry of the unit; [name]: the number itself; [name, start]: its entry start + unit.
 */
import {figure} from "../engine/figures.js";

const MATHML = "http://www.w3.org/1998/Math/MathML";
const MINUS = "\u2212";
const DIGITS = 8;

/** A MathML element. @param {string} tag @param {Record<string, string>} attributes @param {Piece[]} children */
export function mathElement(tag, attributes, children) {
  const element = document.createElementNS(MATHML, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} text */
function operatorNode(text) {
  return mathElement("mo", {}, [text]);
}

/** Nodes as one element. @param {Piece[]} nodes */
function asRow(nodes) {
  const [first] = nodes;
  const alone = nodes.length === 1 && first instanceof Element && /^m[ion]$/.test(first.localName);
  return alone ? first : mathElement("mrow", {}, nodes);
}

/** A number, given as text. @param {string} text @returns {Node} */
function numberNode(text) {
  if (text.startsWith("-")) return asRow([operatorNode(MINUS), numberNode(text.slice(1))]);
  if (text === "inf") return mathElement("mi", {mathvariant: "normal"}, ["\u221e"]);
  if (text === "nan") return mathElement("mi", {}, [text]);
  const [digits, exponent] = text.split("e");
  if (exponent === undefined) return mathElement("mn", {}, [digits]);
  const power = mathElement("msup", {}, [mathElement("mn", {}, ["10"]), numberNode(String(Number(exponent)))]);
  return asRow([mathElement("mn", {}, [digits]), operatorNode("\u00d7"), power]);
}

/** @param {Node} node */
function inBrackets(node) {
  const fence = {stretchy: "false"};
  return [mathElement("mo", fence, ["("]), node, mathElement("mo", fence, [")"])];
}

/** @type {TemplateWriter} */
const AS_NODES = {
  number(value, brackets) {
    const text = figure(brackets === "a" ? Math.abs(value) : value, DIGITS);
    const node = numberNode(text);
    return ((brackets === "t" || brackets === "b") && value < 0) || (brackets === "b" && text.includes("e"))
      ? inBrackets(node)
      : [node];
  },
  leftOut: text => [mathElement("mtext", {}, [text])],
  list: items => items.flatMap((item, place) => (place ? [operatorNode(","), ...item] : item)),
  times: () => operatorNode("\u00d7"),
  sum: terms =>
    terms.flatMap(({sign, content}, place) => {
      const operator = operatorNode(sign === "-" ? MINUS : sign);
      if (place) return [operator, ...content];
      return sign === "-" ? [mathElement("mrow", {}, [operator, ...content])] : content;
    }),
};

/** @type {TemplateWriter} */
const AS_TEXT = {
  number(value, brackets) {
    const text = figure(brackets === "a" ? Math.abs(value) : value, DIGITS);
    return [(brackets === "t" || brackets === "b") && value < 0 ? `(${text})` : text];
  },
  leftOut: text => [text],
  list: items => [items.map(item => item.join("")).join(", ")],
  times: () => "\u00d7",
  sum: terms => [
    terms
      .map(({sign, content}, place) => {
        const text = content.join("");
        return place ? `${sign} ${text}` : sign === "-" ? `-${text}` : text;
      })
      .join(" "),
  ],
};

/**
 * The parts that are shown: of many the first ones and the last, and between them how many are left out.
 * @template T @param {T[]} parts @param {Elided} elided @param {(text: string) => T} leftOut @returns {T[]}
 */
function shownParts(parts, {most, first, text}, leftOut) {
  if (parts.length <= most) return parts;
  const words = text.replace("{count}", String(parts.length - first - 1));
  return [...parts.slice(0, first), leftOut(words), parts[parts.length - 1]];
}

/** Fills templates with the numbers of a unit. */
class Filler {
  /** @param {TemplateWriter} writer @param {SlotNumbers} numbers */
  constructor(writer, numbers) {
    this.writer = writer;
    this.numbers = numbers;
  }

  /** @param {TemplatePart[]} templates @param {number} unit @returns {Piece[]} */
  all(templates, unit) {
    return templates.flatMap(template => this.fill(/** @type {Template} */ (template), unit));
  }

  /** @param {Template} template @param {number} unit @returns {Piece[]} */
  fill(template, unit) {
    if (typeof template === "string") return [template];
    const {numbers, writer} = this;
    const [tag, ...rest] = template;
    switch (tag) {
      case "$s":
        return this.fill(numbers.symbol(String(rest[0])), unit);
      case "$n": {
        const [style, ref] = /** @type {[string, SlotRef]} */ (rest);
        return writer.number(style === "#" ? numbers.count(String(ref)) : numbers.entry(ref, unit), style);
      }
      case "$list": {
        const list = numbers.list(/** @type {SlotRef} */ (rest[0]), unit);
        const items = Array.from(list, value => writer.number(value, ""));
        return writer.list(shownParts(items, numbers.elided, writer.leftOut));
      }
      case "$row":
        return [asRow(this.all(rest, unit))];
      case "$sum":
        return writer.sum(this.terms(rest, unit));
      default:
        return isAttributes(rest[0])
          ? [mathElement(tag, rest[0], this.all(rest.slice(1), unit))]
          : [mathElement(tag, {}, this.all(rest, unit))];
    }
  }

  /** The terms of a sum that are shown. @param {TemplatePart[]} templates @param {number} unit @returns {SignedTerm[]} */
  terms(templates, unit) {
    const makers = templates.flatMap(template => this.makers(/** @type {TemplateNode} */ (template), unit));
    /** @returns {() => SignedTerm} */
    const leftOut = (/** @type {string} */ text) => () => ({sign: "+", content: this.writer.leftOut(text)});
    return shownParts(makers, this.numbers.elided, leftOut).map(make => make());
  }

  /** Functions that make the terms of a template. @param {TemplateNode} template @param {number} unit
   * @returns {(() => SignedTerm)[]} */
  makers([sign, ...rest], unit) {
    const {numbers, writer} = this;
    if (sign === "$each") {
      const [vector, template] = /** @type {[string, TemplateNode]} */ (rest);
      return Array.from({length: numbers.count(vector)}, (_, k) => this.makers(template, k)).flat();
    }
    if (sign === "$pairs") {
      const [matrices, turned, vector] = /** @type {[string[], number, string]} */ (rest);
      return numbers.pairs(matrices, turned, vector, unit).map(([weight, value]) => () => ({
        sign: weight < 0 ? "-" : "+",
        content: [...writer.number(weight, "a"), writer.times(), ...writer.number(value, "t")],
      }));
    }
    if (sign === "+" || sign === "-") return [() => ({sign, content: this.all(rest, unit)})];
    return [
      () => {
        const value = numbers.entry(/** @type {SlotRef} */ (rest[0]), unit);
        const isNegative = value < 0 || (sign === "±0" && Object.is(value, -0));
        return {sign: isNegative ? "-" : "+", content: this.all(rest.slice(1), unit)};
      },
    ];
  }
}

/** @param {unknown} value @returns {value is Record<string, string>} */
function isAttributes(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A template filled, as nodes in pieces between which a line may end: the terms of a sum, and the entries of a list.
 * @param {Template[]} templates @param {SlotNumbers} numbers @param {number} unit @returns {Node[][]}
 */
export function filledPieces(templates, numbers, unit) {
  const filler = new Filler(AS_NODES, numbers);
  const [only] = templates;
  if (templates.length > 1 || !Array.isArray(only) || only[0] !== "$sum") return atCommas(filler.all(templates, unit));
  return filler.terms(only.slice(1), unit).flatMap(({sign, content}, place) => {
    const operator = mathElement("mo", {form: place ? "infix" : "prefix"}, [sign === "-" ? MINUS : sign]);
    return atCommas(place || sign === "-" ? [operator, ...content] : content);
  });
}

/** Nodes in pieces that end with a comma. @param {Piece[]} nodes @returns {Node[][]} */
function atCommas(nodes) {
  /** @type {Node[][]} */
  const pieces = [[]];
  for (const [place, node] of nodes.entries()) {
    pieces[pieces.length - 1].push(typeof node === "string" ? document.createTextNode(node) : node);
    const isComma = node instanceof Element && node.localName === "mo" && node.textContent === ",";
    if (isComma && place < nodes.length - 1) pieces.push([]);
  }
  return pieces;
}

/** A template filled, as text. @param {Template[]} templates @param {SlotNumbers} numbers @param {number} unit */
export function filledText(templates, numbers, unit) {
  return new Filler(AS_TEXT, numbers).all(templates, unit).join("");
}
