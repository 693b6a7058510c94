/** Long runs and large models: nothing is looked for, summed or drawn again that has not changed. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {addPlainProduct} from "../../src/gatewise/playground/assets/engine/arrays.js";
import {UNARY} from "../../src/gatewise/playground/assets/engine/functions.js";
import {createModel} from "../../src/gatewise/playground/assets/engine/model.js";
import {sortedTerms} from "../../src/gatewise/playground/assets/views/step_terms.js";
import {followRun} from "../../src/gatewise/playground/assets/views/run_loop.js";
import {createStore} from "../../src/gatewise/playground/assets/views/store.js";
import {sidePath} from "../../src/gatewise/playground/assets/views/timeline.js";
import {documentOf, weightOf, xAt} from "./recurrent.mjs";

const whole = model => {
  while (!model.finish(0));
  return model;
};
const statesOf = model => [
  ...model.series({layer: 0, direction: 0, name: "h", at: [0]}),
  ...model.series({layer: 0, direction: 0, name: "h", at: [1]}),
];

test("what carries nothing goes on where it was, and goes back to what was edited", () => {
  const model = createModel(documentOf(3000)),
    [merge] = model.base.merges,
    places = [];
  while (!model.finish(0)) places.push(merge.forward.done);
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  assert.ok(places.length > 300);
  assert.equal(model.base.merges[0].forward.advance(), false);
  assert.equal(merge.forward.done, 3000);
  model.edit([xAt(2000, 3)]);
  assert.equal(model.edited.merges[0].forward.done, 2000);
  whole(model);
  assert.ok(model.edited.merges[0].forward.ready.every(one => one === 1));
  assert.deepEqual(
    [...model.edited.merges[0].bound.slot("y").data.subarray(-2)],
    [...model.value({layer: 0, direction: 0, name: "h", step: 2999})],
  );
  model.edit([xAt(1000, 3)]);
  assert.equal(model.edited.merges[0].forward.done, 1000);
  model.edit([weightOf(0, 1, 0.1)]);
  assert.equal(model.edited.merges[0].forward.done, 0);
});

test("the backward pass of what carries nothing goes on where it was, and begins again with another loss", () => {
  const model = createModel(documentOf(500)),
    [merge] = model.base.merges;
  model.wantsBackward = true;
  whole(model);
  assert.equal(merge.backward.advance(), false);
  assert.equal(merge.backward.done, 500);
  model.setLoss({of: "h", layer: 0, direction: 0, unit: 1, step: 250});
  assert.equal(merge.backward.done, 0);
  assert.equal(model.finish(0), false);
  whole(model);
  assert.equal(model.value({layer: 0, direction: 0, name: "dh", step: 250})[1], 1);
});

test("edited numbers are those of a model that was made with them", () => {
  const made = documentOf(400),
    edited = whole(createModel(documentOf(400)));
  made.parameters[0].W[1][2] = 0.25;
  edited.edit([weightOf(1, 2, 0.25)]);
  assert.deepEqual(statesOf(whole(edited)), statesOf(createModel(made)));
});

test("a product over rows in plain arrays is the product, however many rows there are", () => {
  for (let rows = 1; rows < 10; rows++) {
    const matrix = Array.from({length: rows}, (_, r) => Array.from({length: 17}, (_, n) => Math.sin(n * n + r + rows))),
      vector = Array.from({length: 17}, (_, n) => Math.cos(3 * n)),
      sums = matrix.map(row => row.reduce((sum, entry, n) => sum + entry * vector[n], 0));
    const out = Float64Array.from({length: rows + 2}, (_, n) => n);
    addPlainProduct(out, 1, matrix, vector);
    assert.deepEqual([...out], [0, ...sums.map((sum, r) => r + 1 + sum), rows + 1]);
  }
});

test("sigmoid and tanh are exact over their range", () => {
  const {tanh, σ: sigmoid} = UNARY,
    isNear = (one, other) => Math.abs(one - other) <= 1e-15 * Math.abs(other);
  for (let a = -40; a <= 40; a += 0.0073) {
    assert.ok(isNear(tanh(a), Math.tanh(a)), String(a));
    assert.ok(isNear(sigmoid(a), Math.exp(a) / (1 + Math.exp(a))), String(a));
  }
  const ends = [-Infinity, -1e9, -705, -0, 0, 1e-300, 1e9, Infinity, NaN];
  assert.deepEqual(ends.map(tanh), ends.map(Math.tanh));
  assert.deepEqual(ends.map(sigmoid), [0, 0, Math.exp(-705), 0.5, 0.5, 0.5, 1, 1, NaN]);
});

test("the terms of a gradient are sorted once for each run", () => {
  const model = createModel(documentOf(50)),
    page = {model, runs: 1};
  const ref = {layer: 0, direction: 0, name: "dW", step: null, at: [1, 2]};
  const kept = sortedTerms(page, ref, false, false),
    sizes = kept.order.map(step => Math.abs(kept.values[step])),
    rounding = 2 ** -34 * sizes[0];
  assert.deepEqual(
    kept.order.toSorted((a, b) => a - b),
    Array.from(kept.values.keys()),
  );
  assert.ok(sizes[0] > 2 * rounding);
  let first = 0; // of those that differ by rounding alone: they stay in the order of their steps
  for (let n = 1; n < sizes.length; n++) {
    const isSame = sizes[n] >= sizes[first] - rounding;
    assert.ok(isSame ? kept.order[n] > kept.order[n - 1] : sizes[n] < Math.min(...sizes.slice(first, n)));
    if (!isSame) first = n;
  }
  assert.ok(Math.abs(kept.values.reduce((sum, one) => sum + one) - model.number(ref)) < 1e-15);
  assert.equal(sortedTerms(page, {...ref, at: [1, 2]}, false, false), kept);
  assert.notEqual(sortedTerms(page, {...ref, at: [1, 1]}, false, false), kept);
  model.edit([xAt(20, 3)]);
  page.runs = 2;
  assert.notDeepEqual(sortedTerms(page, ref, false, false).values, kept.values);
});

test("a line along many steps shows the largest of those that share a place, and along few each", () => {
  const up = value => value;
  const many = new Float64Array(250_000);
  many[123_456] = 7;
  many[200_001] = -5;
  many[200_002] = NaN;
  const above = sidePath(many, up, 1),
    below = sidePath(many, up, -1);
  assert.equal(above.match(/V7\.00H494\.00/g)?.length, 1);
  assert.equal(below.match(/V-5\.00H801\.00/g)?.length, 1);
  assert.equal(above.match(/H/g)?.length, 1000);
  assert.ok(above.endsWith("H1000.00V0.00Z"));
  assert.equal(
    sidePath(Float64Array.of(1, -2, NaN, 3), up, 1),
    "M0 0.00V1.00H250.00V0.00H500.00V0.00H750.00V3.00H1000.00V0.00Z",
  );
});

/** A page without a picture, whose clock is called by hand. */
function pageOf(model) {
  const waiting = [];
  globalThis.requestAnimationFrame = work => waiting.push(work);
  globalThis.cancelAnimationFrame = () => {};
  const state = {edits: [], loss: model.loss, backward: false, step: 0};
  const {signal: closed} = new AbortController();
  return {page: {model, store: createStore(state), closed, settled: false, runs: 0}, frame: () => waiting.shift()?.()};
}

test("once a run is computed, what shows all of it is drawn, and nothing else is drawn again", async () => {
  const model = createModel(documentOf(200_000)),
    {page, frame} = pageOf(model),
    drawn = {step: 0, run: 0};
  followRun(page);
  assert.equal(page.settled, false);
  page.store.show(() => {
    drawn.step += 1;
  });
  page.store.show((state, previous) => {
    drawn.run += 1;
    assert.equal(state, previous);
  }, true);
  while (!page.settled) {
    frame();
    await new Promise(done => setTimeout(done));
  }
  assert.deepEqual(drawn, {step: 1, run: 2});
  assert.equal(page.runs, 1);
  assert.equal(model.base.merges[0].forward.done, 200_000);
});
