/**
 * Whether addresses hold the state of a page, and refuse what is none; and whether the store calls its views.
 * Run as `node --test state.mjs` with FOLDER, which holds the page's modules, and FIXTURE, a document, as environment.
 */
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {test} from "node:test";
import {pathToFileURL} from "node:url";

const {FOLDER, FIXTURE} = process.env;
const from = name => import(pathToFileURL(join(FOLDER, name)).href);
const {decodeHash, eachOnce, encodeHash, misfitOf} = await from("views/hash.js");
const {createStore} = await from("views/store.js");
const {createModel} = await from("engine/model.js");
const {originalState} = await from("views/start.js");
const doc = JSON.parse(readFileSync(FIXTURE, "utf8"));
const model = createModel(doc);
const made = {...originalState({doc, model, lesson: null}), chapter: 0};

let seed = 7;
/** The same numbers each time, from 0 to below n. */
function any(n) {
  seed = (seed * 48271) % 2147483647;
  return seed % n;
}
const oneOf = list => list[any(list.length)];

function anyEdit(layer, direction) {
  const {hidden} = model.layers[layer].cells[direction];
  const ref = oneOf([
    {layer, direction, name: "b_f", step: null, at: [any(hidden)]},
    {layer, direction, name: "W_i", step: null, at: [any(hidden), any(3)]},
    {layer: 0, direction, name: "x", step: any(model.steps), at: [any(model.layers[0].cells[0].features.length)]},
  ]);
  return {ref, value: oneOf([0, 0.1, -12, 1e-300, 3.5e200, any(1000) / 7])};
}

function anyState() {
  const layer = any(model.layers.length);
  const direction = any(model.layers[layer].cells.length);
  const {hidden} = model.layers[layer].cells[direction];
  const unit = any(hidden);
  const level = oneOf(["overview", "step", "number", "product"]);
  const backward = any(2) === 1;
  const state = {
    ...made,
    step: any(model.steps),
    layer,
    direction,
    unit,
    quantity: oneOf(["f", "a_i", "x"]),
    level,
    backward,
  };
  return {
    ...state,
    detail:
      level === "number" || level === "product" ? oneOf(["f", "a_i", `W_f[${any(hidden)},1]`, "x[0]"]) : made.detail,
    product: level === "product" ? any(4) : null,
    loss: backward ? {of: "h", layer, direction, unit, step: any(model.steps)} : made.loss,
    chapter: oneOf([null, 0, 7]),
    sorted: any(2) === 1,
    logarithmic: backward ? any(2) === 1 : made.logarithmic,
    edits: eachOnce(
      model,
      Array.from({length: any(4)}, () => anyEdit(layer, direction)),
    ),
  };
}

test("a state is read back from its address", () => {
  for (let round = 0; round < 500; round += 1) {
    const state = anyState();
    const read = decodeHash(`#${encodeHash(state)}`);
    assert.deepEqual({...made, ...read.state}, state);
    assert.equal(misfitOf(read.state, model, true, 8), null, encodeHash(state));
  }
});

test("an address that was spoiled is refused in one sentence, or is another state of this model", () => {
  const letters = "0123456789&=,;.%#-_abcdefWxyz[]@ \u00e9\u0000";
  for (let round = 0; round < 1500; round += 1) {
    const whole = encodeHash(anyState());
    const at = any(whole.length);
    const spoiled = oneOf([whole.slice(0, at), whole.slice(0, at) + oneOf([...letters]) + whole.slice(at + any(3))]);
    const read = decodeHash(spoiled);
    const problem = read.problem ?? misfitOf(read.state, model, true, 8);
    if (problem === null) {
      assert.equal(misfitOf(decodeHash(encodeHash({...made, ...read.state})).state, model, true, 8), null);
    } else assert.match(doc.phrases.hash[problem.replace("hash.", "")], /^[A-Z][^.]*\.$/);
  }
});

test("of edits of one number the last is kept, and that a chapter has none is written", () => {
  const {edits} = decodeHash("#v1&edits=0,0,b_f,,0,2;0,0,x,1,0,5;0,0,b_f,,0,3;0,1,x,1,0,7").state;
  assert.deepEqual(
    eachOnce(model, edits).map(({ref, value}) => [ref.name, value]),
    [
      ["b_f", 3],
      ["x", 7],
    ],
  );
  assert.match(encodeHash({...made, chapter: 4, edits: []}), /&edits=$/);
  assert.deepEqual(decodeHash("#v1&chapter=4&edits=").state.edits, []);
  assert.equal("edits" in decodeHash("#v1&chapter=4").state, false);
});

test("what no model has is refused", () => {
  const wrong = [
    "step=99999",
    "layer=9",
    "direction=7",
    "unit=99999",
    "chapter=8",
    "level=number&name=nothing",
    "level=number&name=W_f[99,0]",
    "level=number&name=__proto__",
    "backward=1&loss=h,0,0,0,99999",
    "backward=1&loss=y,0,0,9,0",
    "edits=0,0,b_f,,99,1",
    "edits=0,0,nothing,,0,1",
    "edits=0,0,f,0,0,1",
    "edits=0,0,constructor,,0,1",
    "edits=0,0,x,99999,0,1",
  ];
  for (const part of wrong) {
    const read = decodeHash(`#v1&${part}`);
    assert.match(misfitOf(read.state, model, false, 8) ?? "", /^hash.nowhere$/, part);
  }
  for (const hash of [
    "",
    "v1&step=-1",
    "v1&step=1e9",
    "v1&level=deep",
    "v1&edits=0",
    "v1&edits=0,0,b_f,,0,NaN",
    "v1&loss=z,0,0,0,0",
    "v1&show=%",
  ]) {
    assert.match(decodeHash(hash).problem ?? "", /^hash.unread$/, hash);
  }
  assert.match(decodeHash("#v2&step=1").problem, /^hash.version$/);
});

test("views are called once for all changes of one task, and one that fails does not stop the others", async () => {
  const errors = [];
  const store = createStore(made, error => errors.push(error));
  const seen = [];
  store.show((now, before) => {
    if (now !== before) throw new Error("failed");
  });
  store.show((now, before) => seen.push([before.step, now.step]));
  store.change({step: 1});
  store.change({step: 2, playing: true});
  assert.equal(store.state.step, 2);
  await Promise.resolve();
  assert.deepEqual(seen, [
    [0, 0],
    [0, 2],
  ]);
  assert.equal(errors.length, 1);
});
