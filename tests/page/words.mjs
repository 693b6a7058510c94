/**
 * Whether the page writes numbers, formulas, sentences, source and tables as Python does.
 * Run as `node words.mjs FOLDER FIXTURE`: the folder holds the page's modules, the fixture what Python wrote.
 */
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {pathToFileURL} from "node:url";

/** As much of a document as formulas need. */
class FakeElement {
  constructor(name) {
    this.localName = name;
    this.attributes = {};
    this.children = [];
  }

  set className(value) {
    this.attributes.class = value;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  append(...children) {
    this.children.push(...children);
  }

  toString() {
    const attributes = Object.entries(this.attributes).map(([name, value]) => ` ${name}="${escaped(value)}"`);
    return `<${this.localName}${attributes.join("")}>${this.inner}</${this.localName}>`;
  }

  get textContent() {
    return this.children.join("");
  }

  get inner() {
    return this.children.map(one => (typeof one === "string" ? escaped(one) : String(one))).join("");
  }
}

const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
globalThis.Element = FakeElement;
globalThis.document = {
  createElementNS: (_, name) => new FakeElement(name),
  createElement: name => new FakeElement(name),
  createTextNode: text => ({toString: () => escaped(text)}),
};

const [, , folder, fixture] = process.argv;
const module = name => import(pathToFileURL(join(folder, name)).href);
const {QuantityTable} = await module("engine/quantity_table.js");
const {figure, percent, shortest} = await module("engine/figures.js");
const {filledPieces, filledText} = await module("views/mathml.js");
const {numbersAt, substitutionOf, textOf, equationOf} = await module("views/formulas.js");
const {sentenceOf, momentOf} = await module("views/sentences.js");
const {sourceOf, gatesCsv} = await module("views/export.js");
const given = JSON.parse(readFileSync(fixture, "utf8"));
const wrong = [];
const counts = {};

function check(kind, where, found, expected) {
  counts[kind] = (counts[kind] ?? 0) + 1;
  if (found !== expected) wrong.push({kind, where, found, expected});
}

const numberOf = value => (typeof value === "string" ? {nan: NaN, inf: Infinity, "-inf": -Infinity}[value] : value);

for (const {value, texts, percent: share, repr} of given.numbers) {
  for (const [digits, text] of Object.entries(texts))
    check("number", value, figure(numberOf(value), Number(digits)), text);
  check("percent", value, percent(numberOf(value)), share);
  check("repr", value, shortest(numberOf(value)), repr);
}

/** A page with the numbers that Python computed. */
function pageOf(one) {
  const values = one.values.map(step =>
    Object.fromEntries(
      Object.entries(step).map(([name, {shape, data}]) => [name, {shape, data: Float64Array.from(data, numberOf)}]),
    ),
  );
  const find = (name, step) => values[step ?? 0][name] ?? raise(`${one.name} has no ${name}`);
  const {roles, ...table} = new QuantityTable(one.quantities);
  return {
    doc: one.doc,
    store: {state: {backward: true}},
    model: {
      doc: one.doc,
      axes: ({name}) => one.axes[name],
      steps: values.length,
      outputs: [],
      layers: [{cells: [one.cell]}],
      cell: () => one.cell,
      isHead: () => false,
      roles: () => roles,
      quantity: ({name}) => table.records.get(name),
      value: ({name, step}) => find(name, step).data,
      shape: ({name}) => find(name, 0).shape,
      series: ({name, at}) => Float64Array.from(values, step => step[name].data[at[0]]),
    },
  };
}

function raise(text) {
  throw new Error(text);
}

for (const one of given.cells) {
  const page = pageOf(one);
  for (const {name, text} of one.equations) {
    check("equation", `${one.name}: ${name}`, textOf(page, {layer: 0, direction: 0, name}), text);
    check(
      "equation label",
      `${one.name}: ${name}`,
      equationOf(page, {layer: 0, direction: 0, name}).attributes["aria-label"],
      text,
    );
  }
  for (const {name, step, unit, told, math, label, symbols} of one.substitutions) {
    const where = `${one.name}: ${name} of ${unit} at ${step}`;
    const line = page.doc.formulas[0].lines[name];
    const numbers = numbersAt(page, {layer: 0, direction: 0, step});
    check("substitution", where, filledText(line.told, numbers, unit), told);
    const whole = templates => filledPieces([["math", ...templates]], numbers, unit)[0][0].inner;
    check("symbols in MathML", where, whole(line.math), symbols);
    if (math !== null) check("MathML", where, whole(line.put), math);
    check(
      "label",
      where,
      substitutionOf(page, {layer: 0, direction: 0, name, step}, unit).attributes["aria-label"],
      label,
    );
  }
  for (const {name, step, units, text} of one.sentences) {
    check(
      "sentence",
      `${one.name}: ${name} at ${step} of ${units}`,
      sentenceOf(page, {layer: 0, direction: 0, name, step}, units),
      text,
    );
  }
  for (const {step, unit, text} of one.moments) {
    check("moment", `${one.name}: ${unit} at ${step}`, momentOf(page, {layer: 0, direction: 0, step, unit}), text);
  }
  check("table", one.name, gatesCsv(page), one.table);
  one.source = sourceOf(page, {layer: 0, direction: 0, step: 0});
}

console.log(
  JSON.stringify({counts, wrong: wrong.slice(0, 20), count: wrong.length, sources: given.cells.map(one => one.source)}),
);
