/** The document's wiring, decoded: what every cell, every merging and the head are run on. */

import {decode, isSingle, zeros} from "./arrays.js";
import {QuantityTable} from "./quantity_table.js";
import {symbolsOf} from "./trees.js";

/** The roles of the directions' outputs in the merging of a layer. */
export const OUTPUTS = /** @type {const} */ (["forward_output", "backward_output"]);

/** Decode the wiring of a document. @param {RunDocument} doc @param {number} most numbers to keep of a run */
export function wiringOf(doc, most) {
  const {wiring, inputs} = doc;
  const input = decode(inputs.x),
    embedding = wiring.embedding === null ? null : decode(wiring.embedding);
  const steps = input.shape[0],
    x = embedding === null ? input : lookUp(embedding, input.data);
  const nonlinearities = [
    ...doc.program.flatMap(program => program.nonlinearities),
    ...(wiring.head?.nonlinearities ?? []),
  ];
  const tables = doc.quantities.cells.map(written => new QuantityTable(written));
  const programs = doc.program.map((program, n) => ({...program, quantities: tables[n]}));
  const merging = new QuantityTable(doc.quantities.merge);
  const layers = wiring.layers.map((row, layer) =>
    row.map((cell, place) => wiredCell(doc, programs[cell.program], cell, layer, place, steps)),
  );
  return {
    steps,
    x,
    embedding,
    layers,
    // Whether states alone are stored for every step.
    isLean: steps * numbersOfStep(layers.flat()) > most,
    tokens: embedding === null ? null : input.data,
    valid: validOf(inputs.valid, wiring.marked, input, embedding !== null, isSingle(inputs.x)),
    merges: wiring.merge.map(({equations}, layer) => mergeProgram(equations, wiring.layers[layer].length, merging)),
    merging: wiring.merge.map(({how}) => how),
    // Whether steps that are not valid repeat the last output.
    repeats: wiring.masked_output === "repeat",
    readsLast: wiring.reads === "last",
    head: wiring.head === null ? null : wiredHead(doc, wiring.head, nonlinearities),
  };
}

/** @param {RunDocument} doc @param {WrittenHead} head @param {Nonlinearity[]} nonlinearities */
function wiredHead(doc, {equations, given, constants, skip}, nonlinearities) {
  const quantities = new QuantityTable(/** @type {WrittenQuantities} */ (doc.quantities.head));
  return {program: stateless(equations, given, nonlinearities, quantities), constants: decoded(constants), skip};
}

/** The number of values in a step, about. @param {ReturnType<typeof wiredCell>[]} cells */
function numbersOfStep(cells) {
  let numbers = 0;
  for (const {program, sizes} of cells) {
    for (const {axes} of [...program.forward, ...program.backward]) if (axes.length < 2) numbers += sizes[axes[0]] ?? 1;
  }
  return numbers;
}

/** The rows of a table. @param {Values} table @param {Float64Array} tokens @returns {Values} */
function lookUp(table, tokens) {
  const [count, width] = table.shape,
    rows = zeros([tokens.length, width]);
  tokens.forEach((token, t) => {
    if (!(token >= 0 && token < count)) throw new Error(`token ${token} is not in the embedding's ${count} rows`);
    rows.data.set(table.data.subarray(token * width, (token + 1) * width), t * width);
  });
  return rows;
}

/**
 * The valid steps; null: all.
 * @param {boolean[] | null | undefined} valid @param {WrittenNumber | null} marked @param {Values} input
 * @param {boolean} areTokens @param {boolean} single whether they were float32
 */
function validOf(valid, marked, input, areTokens, single) {
  if (valid !== null && valid !== undefined) return Uint8Array.from(valid, Number);
  if (marked === null || marked === undefined) return null;
  const mark = decode(marked).data[0],
    mask = single ? Math.fround(mark) : mark,
    width = areTokens ? 1 : input.shape[1];
  const steps = new Uint8Array(input.shape[0]);
  input.data.forEach((value, n) => {
    if (value !== mask) steps[Math.floor(n / width)] = 1;
  });
  return steps;
}

/**
 * @param {RunDocument} doc @param {Program} program @param {WrittenCell} cell @param {number} layer
 * @param {number} place @param {number} steps
 */
function wiredCell(doc, program, cell, layer, place, steps) {
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

/** @param {Record<string, WrittenArray>} written @returns {Record<string, Values>} */
function decoded(written) {
  return Object.fromEntries(Object.entries(written).map(([name, array]) => [name, decode(array)]));
}

/** The lengths of axes that the parameters have. @param {Program} program @param {Record<string, Values>} constants */
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
 * The merging of a layer's directions into one output; without equations they stand side by side.
 * @param {Assignment[]} equations @param {number} directions @param {QuantityTable} quantities @returns {Program}
 */
function mergeProgram(equations, directions, quantities) {
  const {roles} = quantities;
  const names = OUTPUTS.slice(0, directions).map(role => roles[role]);
  /** @param {string} symbol @param {Kind} kind @returns {Given} */
  const entry = (symbol, kind) => ({symbol, axes: ["merged"], kind});
  const given = [...names.map(name => entry(name, "input")), entry(roles.output_gradient, "gradient")];
  if (equations.length > 0) return stateless(equations, given, [], quantities);
  /** @param {string} text @returns {Tree} */
  const symbol = text => ({node: "symbol", text});
  /** @param {string | null} left @param {Tree} right @returns {Assignment} */
  const assign = (left, right) => ({left: left ?? "", right, axes: [], sums: false});
  const arriving = symbol(roles.output_gradient);
  const lines = [
    assign(roles.output, {node: "stack", parts: names.map(symbol)}),
    assign(quantities.gradient(names[0]), {node: "part", vector: arriving, start: 0, stop: "one direction"}),
    assign(quantities.gradient(names[1]), {node: "part", vector: arriving, start: "one direction", stop: "merged"}),
  ];
  return stateless(lines, given, [], quantities);
}

/**
 * Equations of every step alone, as a program that carries nothing. Those that need a gradient are its backward pass.
 * @param {Assignment[]} equations @param {Given[]} given @param {Nonlinearity[]} nonlinearities
 * @param {QuantityTable} quantities @returns {Program}
 */
function stateless(equations, given, nonlinearities, quantities) {
  const gradients = new Set([quantities.roles.output_gradient]);
  for (const {left, right} of equations) if (symbolsOf(right).some(name => gradients.has(name))) gradients.add(left);
  return {
    given,
    forward: equations.filter(({left}) => !gradients.has(left)),
    backward: equations.filter(({left}) => gradients.has(left)),
    carry: [],
    carry_backward: [],
    nonlinearities,
    quantities,
  };
}
