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

/** @typedef {string | any[]} Template */
/** @typedef {{most: number, first: number, text: string}} Elided */
/** @typedef {{elided: Elided, entry: (ref: any, unit: number) => number, list: (ref: any, unit: number) => ArrayLike<number>,
 *   pairs: (matrices: string[], turned: number, vector: string, unit: number) => [number, number][],
 *   count: (name: string) => number, symbol: (name: string) => Template}} Numbers */
/** @typedef {{sign: "+" | "-", content: (Node | string)[]}} Term  */

const MATHML = "http://www.w3.org/1998/Math/MathML";
const MINUS = "\u2212";
const DIGITS = 8;

/** A MathML element. @param {string} tag @param {Record<string, string>} attributes @param {(Node | string)[]} children */
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

/** Nodes as one element. @param {(Node | string)[]} nodes */
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

/** Where what a template says is written: as nodes, or as text. */
const AS_NODES = {
  /** @param {number} value @param {string} how @returns {(Node | string)[]} */
  number(value, how) {
    const text = figure(how === "a" ? Math.abs(value) : value, DIGITS);
    const node = numberNode(text);
    return ((how === "t" || how === "b") && value < 0) || (how === "b" && text.includes("e"))
      ? inBrackets(node)
      : [node];
  },
  /** @param {string} text @returns {(Node | string)[]} */
  leftOut: text => [mathElement("mtext", {}, [text])],
  /** @param {(Node | string)[][]} items */
  list: items => items.flatMap((one, place) => (place ? [operatorNode(","), ...one] : one)),
  times: () => operatorNode("\u00d7"),
  /** @param {Term[]} terms */
  sum: terms =>
    terms.flatMap(({sign, content}, place) => {
      const shown = operatorNode(sign === "-" ? MINUS : sign);
      if (place) return [shown, ...content];
      return sign === "-" ? [mathElement("mrow", {}, [shown, ...content])] : content;
    }),
};

/** @type {typeof AS_NODES | any} */
const AS_TEXT = {
  /** @param {number} value @param {string} how */
  number(value, how) {
    const text = figure(how === "a" ? Math.abs(value) : value, DIGITS);
    return [(how === "t" || how === "b") && value < 0 ? `(${text})` : text];
  },
  /** @param {string} text */
  leftOut: text => [text],
  /** @param {string[][]} items */
  list: items => [items.map(one => one.join("")).join(", ")],
  times: () => "\u00d7",
  /** @param {Term[]} terms */
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
  const said = text.replace("{count}", String(parts.length - first - 1));
  return [...parts.slice(0, first), leftOut(said), parts[parts.length - 1]];
}

class Filler {
  /** @param {typeof AS_NODES} as @param {Numbers} numbers */
  constructor(as, numbers) {
    this.as = as;
    this.numbers = numbers;
  }

  /** @param {Template[]} templates @param {number} unit @returns {(Node | string)[]} */
  all(templates, unit) {
    return templates.flatMap(one => this.one(one, unit));
  }

  /** @param {Template} template @param {number} unit @returns {(Node | string)[]} */
  one(template, unit) {
    if (typeof template === "string") return [template];
    const [tag, ...rest] = template;
    switch (tag) {
      case "$s":
        return this.one(this.numbers.symbol(rest[0]), unit);
      case "$n": {
        const [how, ref] = rest;
        return this.as.number(how === "#" ? this.numbers.count(ref) : this.numbers.entry(ref, unit), how);
      }
      case "$list": {
        const items = Array.from(this.numbers.list(rest[0], unit), value => this.as.number(value, ""));
        return this.as.list(shownParts(items, this.numbers.elided, this.as.leftOut));
      }
      case "$row":
        return [asRow(this.all(rest, unit))];
      case "$sum":
        return this.as.sum(this.terms(rest, unit));
    }
    const attributes = isAttributes(rest[0]) ? rest.shift() : {};
    return [mathElement(tag, attributes, this.all(rest, unit))];
  }

  /** The terms of a sum that are shown. @param {any[][]} terms @param {number} unit @returns {Term[]} */
  terms(terms, unit) {
    const made = terms.flatMap(term => this.term(term, unit));
    const shown = shownParts(made, this.numbers.elided, text => () => ({sign: "+", content: this.as.leftOut(text)}));
    return shown.map(make => make());
  }

  /** What makes the terms that a term stands for. @param {any[]} term @param {number} unit @returns {(() => Term)[]} */
  term([sign, ...rest], unit) {
    if (sign === "$each") {
      const indices = Array.from({length: this.numbers.count(rest[0])}, (_, k) => k);
      return indices.flatMap(k => this.term(rest[1], k));
    }
    if (sign === "$pairs") {
      return this.numbers.pairs(rest[0], rest[1], rest[2], unit).map(([weight, value]) => () => ({
        sign: weight < 0 ? "-" : "+",
        content: [...this.as.number(weight, "a"), this.as.times(), ...this.as.number(value, "t")],
      }));
    }
    if (sign === "+" || sign === "-") return [() => ({sign, content: this.all(rest, unit)})];
    return [
      () => {
        const value = this.numbers.entry(rest[0], unit);
        const negative = value < 0 || (sign === "±0" && Object.is(value, -0));
        return {sign: negative ? "-" : "+", content: this.all(rest.slice(1), unit)};
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
 * @param {Template[]} templates @param {Numbers} numbers @param {number} unit @returns {Node[][]}
 */
export function filledPieces(templates, numbers, unit) {
  const filler = new Filler(AS_NODES, numbers);
  const [only] = templates;
  if (templates.length > 1 || !Array.isArray(only) || only[0] !== "$sum") return atCommas(filler.all(templates, unit));
  return filler.terms(only.slice(1), unit).flatMap(({sign, content}, place) => {
    const shown = mathElement("mo", {form: place ? "infix" : "prefix"}, [sign === "-" ? MINUS : sign]);
    return atCommas(place || sign === "-" ? [shown, ...content] : content);
  });
}

/** Nodes in pieces that end with a comma. @param {(Node | string)[]} nodes @returns {Node[][]} */
function atCommas(nodes) {
  /** @type {Node[][]} */
  const pieces = [[]];
  for (const [place, node] of asNodes(nodes).entries()) {
    pieces[pieces.length - 1].push(node);
    if (isComma(nodes[place]) && place < nodes.length - 1) pieces.push([]);
  }
  return pieces;
}

/** @param {Node | string} node */
function isComma(node) {
  return node instanceof Element && node.localName === "mo" && node.textContent === ",";
}

/** @param {(Node | string)[]} nodes @returns {Node[]} */
function asNodes(nodes) {
  return nodes.map(one => (typeof one === "string" ? document.createTextNode(one) : one));
}

/** A template filled, as text. @param {Template[]} templates @param {Numbers} numbers @param {number} unit */
export function filledText(templates, numbers, unit) {
  return new Filler(AS_TEXT, numbers).all(templates, unit).join("");
}

/** A number as MathML. @param {number} value @returns {Node} */
export function numberMath(value) {
  return numberNode(figure(value, DIGITS));
}
