/** The evaluator and the running model, without Python: any program runs, not only that of an LSTM. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {decode} from "../../src/gatewise/playground/assets/engine/arrays.js";
import {evaluate} from "../../src/gatewise/playground/assets/engine/evaluate.js";
import {createModel} from "../../src/gatewise/playground/assets/engine/model.js";
import {documentOf, weightOf as weight, xAt as x} from "./recurrent.mjs";

const symbol = text => ({node: "symbol", text});
const number = value => ({node: "number", value});
const call = (name, ...parts) => ({node: "call", name, arguments: parts, activation: null});
const vector = (...numbers) => ({shape: [numbers.length], data: Float64Array.from(numbers)});
const MATRIX = {shape: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6)};
const evaluated = (tree, values = {}, known = {}) => [...evaluate(tree, values, known).data];

test("every kind of node", () => {
  const a = vector(1, 2, 4),
    values = {a, b: vector(3, 5, 7), u: vector(1, -1), m: MATRIX, k: 10};
  const [sa, sb, m] = [symbol("a"), symbol("b"), symbol("m")];
  const found = {
    sum: evaluated({node: "sum", terms: [sa, {node: "negative", term: sb}, symbol("k")]}, values),
    negative: evaluated({node: "negative", term: sa}, values),
    product: evaluated({node: "product", factors: [symbol("k"), sa, sb]}, values),
    matmul: evaluated({node: "matmul", left: m, right: sa}, values),
    "vector times matrix": evaluated({node: "matmul", left: symbol("u"), right: m}, values),
    transpose: evaluated({node: "transpose", matrix: m}, values),
    "transposed times vector": evaluated(
      {node: "matmul", left: {node: "transpose", matrix: m}, right: symbol("u")},
      values,
    ),
    outer: evaluated({node: "outer", left: symbol("u"), right: sa, rows: false}, values),
    part: evaluated({node: "part", vector: sa, start: 1, stop: "end"}, values, {sizes: {end: 3}}),
    quotient: evaluated({node: "quotient", over: sa, under: symbol("k")}, values),
    power: evaluated({node: "power", base: sa, exponent: number(2)}, values),
    "other power": evaluated({node: "power", base: sa, exponent: number(0.5)}, values),
    holds: evaluated({node: "holds", left: sa, relation: "≤", right: number(2)}, values),
    slope: evaluated({node: "slope", body: sa}, values),
    stack: evaluated({node: "stack", parts: [symbol("u"), sa], mark: ";"}, values),
    row: evaluated({node: "row", values: [1, 2]}, values),
  };
  assert.deepEqual(found, {
    sum: [8, 7, 7],
    negative: [-1, -2, -4],
    product: [30, 100, 280],
    matmul: [17, 38],
    "vector times matrix": [-3, -3, -3],
    transpose: [1, 4, 2, 5, 3, 6],
    "transposed times vector": [-3, -3, -3],
    outer: [1, 2, 4, -1, -2, -4],
    part: [2, 4],
    quotient: [0.1, 0.2, 0.4],
    power: [1, 4, 16],
    "other power": [1, Math.SQRT2, 2],
    holds: [1, 1, 0],
    slope: [1, 2, 4],
    stack: [1, -1, 1, 2, 4],
    row: [1, 2],
  });
});

test("every function", () => {
  const a = {a: vector(-1, 0, 4)},
    s = symbol("a");
  assert.deepEqual(evaluated(call("mean", s), a), [1]);
  assert.deepEqual(evaluated(call("sum", s), a), [3]);
  assert.deepEqual(evaluated(call("greatest", s), a), [4]);
  assert.deepEqual(evaluated(call("max", number(0), s), a), [0, 0, 4]);
  assert.deepEqual(evaluated(call("min", number(0), s), a), [-1, 0, 0]);
  assert.deepEqual(evaluated(call("clip", s, number(-0.5), number(2)), a), [-0.5, 0, 2]);
  assert.deepEqual(evaluated(call("abs", s), a), [1, 0, 4]);
  assert.deepEqual(evaluated(call("sqrt", number(9)), a), [3]);
  assert.deepEqual(evaluated(call("σ", number(0)), a), [0.5]);
  assert.deepEqual(evaluated(call("σ", number(-1e9)), a), [0]);
  assert.deepEqual(evaluated(call("ln", call("exp", number(0))), a), [0]);
  assert.deepEqual(evaluated(call("by column", symbol("m")), {m: MATRIX}), [1, 3, 5, 2, 4, 6]);
  assert.deepEqual(evaluated(call("by row", symbol("m")), {m: MATRIX}), [1, 4, 2, 5, 3, 6]);
  const activation = {name: "double", alpha: 2, beta: null},
    twice = {...call("double", s), activation};
  const known = {
    nonlinearities: [{...activation, definition: {node: "product", factors: [number(2), s]}, derivative: number(2)}],
  };
  assert.deepEqual(evaluated(twice, a, known), [-2, 0, 8]);
});

test("what is no formula is refused", () => {
  let deep = number(1);
  for (let n = 0; n < 200; n++) deep = {node: "negative", term: deep};
  assert.throws(() => evaluate(deep, {}), /200 levels/);
  assert.throws(() => evaluate({node: "sum", terms: Array(20000).fill(number(1))}, {}), /20000 parts/);
  assert.throws(() => evaluate({node: "script", text: "alert(1)"}, {}), /node that this page does not know/);
  assert.throws(() => evaluate(call("alert", number(1)), {}), /function that this page does not know/);
  assert.throws(() => evaluate(call("constructor", number(1)), {}), /function that this page does not know/);
  assert.throws(
    () => evaluate({node: "holds", left: number(1), relation: "=", right: number(1)}, {}),
    /unknown relation/,
  );
  assert.throws(
    () => evaluate({...call("odd", number(1)), activation: {name: "odd", alpha: null, beta: null}}, {}),
    /not defined/,
  );
  assert.throws(() => evaluate(symbol("toString"), {}), /nothing is known of toString/);
  assert.throws(
    () => evaluate({node: "sum", terms: [symbol("a"), symbol("b")]}, {a: vector(1, 2), b: vector(1, 2, 3)}),
    /joins shapes/,
  );
});

test("arrays of the document", () => {
  const bytes = array => Buffer.from(array.buffer).toString("base64");
  assert.deepEqual(
    decode([
      [1, "nan"],
      ["-inf", 2.5],
    ]),
    {shape: [2, 2], data: Float64Array.of(1, NaN, -Infinity, 2.5)},
  );
  assert.deepEqual(
    decode({shape: [2], dtype: "<f4", base64: bytes(Float32Array.of(0.1, 2))}).data,
    Float64Array.of(Math.fround(0.1), 2),
  );
  assert.deepEqual(
    decode({shape: [2], dtype: "<f8", base64: bytes(Float64Array.of(0.1, 2))}).data,
    Float64Array.of(0.1, 2),
  );
  assert.throws(() => decode({shape: [1], dtype: "<f2", base64: "AAA="}), /unknown kind/);
  assert.throws(() => decode([["<script>"]]), /not a number/);
  assert.throws(() => decode([[1, 2], [3]]), /different lengths/);
});

test("gradients are those of differences", () => {
  const model = createModel(documentOf(6)),
    by = 1e-6;
  model.setLoss({of: "h", layer: 0, direction: 0, unit: 1, step: 4});
  const gradient = model.number({layer: 0, direction: 0, name: "dW", step: null, at: [0, 1]});
  const loss = value => {
    model.edit([weight(0, 1, value)]);
    return model.value({layer: 0, direction: 0, name: "h", step: 4})[1];
  };
  assert.ok(Math.abs((loss(-0.3 + by) - loss(-0.3 - by)) / (2 * by) - gradient) < 1e-9);
  model.edit([]);
  const steps = model.series({layer: 0, direction: 0, name: "dW", at: [1]});
  assert.ok(Math.abs(steps.reduce((sum, one) => sum + one) - gradient) < 1e-15);
  assert.equal(steps[5], 0);
});

test("an edit of an input computes what comes after it, and nothing before it", () => {
  const model = createModel(documentOf(100));
  const before = [...model.value({layer: 0, direction: 0, name: "h", step: 99})];
  model.edit([x(60, 3)]);
  assert.equal(model.edited.cells[0][0].forward.done, 60);
  const isChanged = step => {
    const ref = {layer: 0, direction: 0, name: "h", step, at: [0]};
    return model.number(ref) !== model.original(ref);
  };
  assert.equal(isChanged(59), false);
  assert.equal(isChanged(60), true);
  assert.equal(model.edited.cells[0][0].forward.done, 61);
  const [[influence]] = model.influence();
  assert.ok(influence[59] === 0 && influence[60] > influence[70] && influence[70] > 0);
  assert.equal(model.original(x(60, 0).ref), Math.sin(60));
  assert.equal(model.number(x(60, 0).ref), 3);
  model.edit([]);
  assert.deepEqual([...model.value({layer: 0, direction: 0, name: "h", step: 99})], before);
});

test("the rest is computed in slices", () => {
  const model = createModel(documentOf(5000));
  model.edit([weight(0, 0, 0.4)]);
  let slices = 0;
  while (!model.finish(0)) slices++;
  assert.ok(slices > 10);
  assert.equal(model.edited.cells[0][0].forward.done, 5000);
});

test("NaN flows, and only what is given may be edited", () => {
  const written = documentOf(5);
  written.parameters[0].W[0][0] = "nan";
  const model = createModel(written);
  assert.ok(Number.isNaN(model.value({layer: 0, direction: 0, name: "h", step: 3})[1]));
  assert.ok(Number.isNaN(model.value({layer: 0, direction: 0, name: "dh_prev", step: 3})[0]));
  assert.throws(
    () => model.edit([{ref: {layer: 0, direction: 0, name: "h", step: 1, at: [0]}, value: 1}]),
    /is computed/,
  );
  assert.equal(model.isGiven({layer: 0, direction: 0, name: "h_prev", step: 0, at: [0]}), true);
  assert.equal(model.isGiven({layer: 0, direction: 0, name: "h_prev", step: 1, at: [0]}), false);
});
