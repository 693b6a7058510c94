/** The document's wiring, decoded: what every cell, every merging and the head are run on. */

import {decode, zeros} from "./arrays.js";
import {symbolsOf} from "./trees.js";

/** @typedef {import("./arrays.js").Values} Values */
/** @typedef {import("./binding.js").Program} Program */
/** @typedef {import("./binding.js").Assignment} Assignment */
/** @typedef {import("./evaluate.js").Nonlinearity} Nonlinearity */
/** @typedef {import("./trees.js").Tree} Tree */
/**
 * A cell in its place.
 * @typedef {object} WiredCell
 * @property {Program} program
 * @property {boolean} reverse
 * @property {Record<string, Values>} constants  parameters, and masks that are the same at every step
 * @property {Record<string, Values>} rows  other masks
 * @property {Record<string, Float64Array>} state  that it starts from; zeros where there is none
 * @property {Record<string, number>} sizes  of axes
 */
/**
 * @typedef {object} Wiring
 * @property {number} steps
 * @property {Values} x  of every step
 * @property {Values | null} embedding
 * @property {Float64Array | null} tokens
 * @property {Uint8Array | null} valid
 * @property {WiredCell[][]} layers
 * @property {Program[]} merges
 * @property {boolean} repeats  whether steps that take no part put out the last output again
 * @property {boolean} readsLast
 * @property {{program: Program, constants: Record<string, Values>, skip: number} | null} head
 * @property {boolean} isLean  whether only states are kept for every step: all quantities would take too much memory
 */

/** What the outputs of a layer's directions are called where they become one. */
export const OUTPUTS = ["h_forward", "h_backward"];

/** Decode what is run. @param {any} doc @param {number} most numbers to keep of a run @returns {Wiring} */
export function wiringOf(doc, most) {
  const {wiring, inputs} = doc;
  const given = decode(inputs.x),
    embedding = wiring.embedding === null ? null : decode(wiring.embedding);
  const steps = given.shape[0],
    x = embedding === null ? given : lookedUp(embedding, given.data);
  const nonlinearities = [
    ...doc.program.flatMap((/** @type {Program} */ one) => one.nonlinearities),
    ...(wiring.head?.nonlinearities ?? []),
    ...(doc.nonlinearities ?? []),
  ];
  const layers = wiring.layers.map((/** @type {any[]} */ row, /** @type {number} */ layer) =>
    row.map((cell, place) => wiredCell(doc, cell, layer, place, steps)),
  );
  return {
    steps,
    x,
    embedding,
    layers,
    isLean: steps * numbersOfStep(layers.flat()) > most,
    tokens: embedding === null ? null : given.data,
    valid: validOf(inputs.valid, wiring.marked, given, embedding !== null, inputs.x.dtype === "<f4"),
    merges: wiring.merge.map((/** @type {any} */ {equations}, /** @type {number} */ layer) =>
      mergeProgram(equations, wiring.layers[layer].length),
    ),
    repeats: wiring.masked_output === "repeat",
    readsLast: wiring.reads === "last",
    head:
      wiring.head === null
        ? null
        : {
            program: stateless(wiring.head.equations, wiring.head.given, nonlinearities),
            constants: decoded(wiring.head.constants),
            skip: wiring.head.skip,
          },
  };
}

/** How many numbers a step has, about. @param {WiredCell[]} cells */
function numbersOfStep(cells) {
  let numbers = 0;
  for (const {program, sizes} of cells) {
    for (const {axes} of [...program.forward, ...program.backward]) if (axes.length < 2) numbers += sizes[axes[0]] ?? 1;
  }
  return numbers;
}

/** The rows of a table. @param {Values} table @param {Float64Array} tokens @returns {Values} */
function lookedUp(table, tokens) {
  const [count, width] = table.shape,
    found = zeros([tokens.length, width]);
  tokens.forEach((token, t) => {
    if (!(token >= 0 && token < count)) throw new Error(`token ${token} is not in the embedding's ${count} rows`);
    found.data.set(table.data.subarray(token * width, (token + 1) * width), t * width);
  });
  return found;
}

/**
 * Which steps take part; null: all.
 * @param {boolean[] | null | undefined} valid @param {number | string | null} marked @param {Values} given
 * @param {boolean} areTokens @param {boolean} single whether they were float32
 */
function validOf(valid, marked, given, areTokens, single) {
  if (valid !== null && valid !== undefined) return Uint8Array.from(valid, Number);
  if (marked === null || marked === undefined) return null;
  const mark = decode(marked).data[0],
    mask = single ? Math.fround(mark) : mark,
    width = areTokens ? 1 : given.shape[1];
  const found = new Uint8Array(given.shape[0]);
  given.data.forEach((one, n) => {
    if (one !== mask) found[Math.floor(n / width)] = 1;
  });
  return found;
}

/**
 * @param {any} doc @param {{program: number, parameters: number, direction: string}} cell @param {number} layer
 * @param {number} place @param {number} steps @returns {WiredCell}
 */
function wiredCell(doc, cell, layer, place, steps) {
  const program = /** @type {Program} */ (doc.program[cell.program]);
  const constants = decoded(doc.parameters[cell.parameters]);
  const masks = decoded(doc.inputs.dropout?.[layer]?.[place] ?? {});
  const state = decoded(doc.inputs.state?.[layer]?.[place] ?? doc.wiring.initial?.[layer]?.[place] ?? {});
  /** @type {Record<string, Values>} */
  const rows = {};
  for (const {symbol, axes, kind} of program.given) {
    if (kind !== "mask") continue;
    if (masks[symbol] === undefined) throw new Error(`the document has no values of ${symbol}`);
    const mask = masks[symbol];
    if (mask.shape.length === axes.length) constants[symbol] = mask;
    else if (mask.shape[0] === steps) rows[symbol] = mask;
    else if (mask.shape[0] === 1) constants[symbol] = {shape: mask.shape.slice(1), data: mask.data};
    else throw new Error(`${symbol} has ${mask.shape[0]} steps, the input ${steps}`);
  }
  /** @type {Record<string, Float64Array>} */
  const begin = {};
  for (const {into, source} of program.carry) if (state[source] !== undefined) begin[into] = state[source].data;
  const sizes = sizesOf(program, constants);
  return {program, reverse: cell.direction === "backward", constants, rows, state: begin, sizes};
}

/** @param {Record<string, any>} written @returns {Record<string, Values>} */
function decoded(written) {
  return Object.fromEntries(Object.entries(written).map(([name, one]) => [name, decode(one)]));
}

/** How long axes are, as far as parameters say. @param {Program} program @param {Record<string, Values>} constants */
function sizesOf(program, constants) {
  /** @type {Record<string, number>} */
  const sizes = {};
  for (const {symbol, axes} of program.given) {
    if (Object.hasOwn(constants, symbol))
      axes.forEach((axis, n) => {
        sizes[axis] = constants[symbol].shape[n];
      });
  }
  return sizes;
}

/**
 * How the outputs of a layer's directions become one; without equations they stand side by side.
 * @param {Assignment[]} equations @param {number} directions @returns {Program}
 */
function mergeProgram(equations, directions) {
  const names = OUTPUTS.slice(0, directions);
  const given = [...names, "dy"].map(symbol => ({
    symbol,
    axes: ["merged"],
    kind: symbol === "dy" ? "gradient" : "input",
  }));
  if (equations.length > 0) return stateless(equations, given, []);
  /** @param {string} text @returns {Tree} */
  const symbol = text => ({node: "symbol", text});
  /** @param {string} left @param {Tree} right @returns {Assignment} */
  const assign = (left, right) => ({left, right, axes: [], sums: false});
  const [first, second] = [
    [0, "one direction"],
    ["one direction", "merged"],
  ];
  const beside = [first, second].map(([start, stop], n) =>
    assign(`d${names[n]}`, {node: "part", vector: symbol("dy"), start, stop}),
  );
  return stateless([assign("y", {node: "stack", parts: names.map(symbol)}), ...beside], given, []);
}

/**
 * Equations of every step alone, as a program that carries nothing. Those that need a gradient are its backward pass.
 * @param {Assignment[]} equations @param {Program["given"]} given @param {Nonlinearity[]} nonlinearities
 * @returns {Program}
 */
function stateless(equations, given, nonlinearities) {
  const gradients = new Set(["dy"]);
  for (const {left, right} of equations) if (symbolsOf(right).some(name => gradients.has(name))) gradients.add(left);
  return {
    given,
    forward: equations.filter(({left}) => !gradients.has(left)),
    backward: equations.filter(({left}) => gradients.has(left)),
    carry: [],
    carry_backward: [],
    nonlinearities,
  };
}
