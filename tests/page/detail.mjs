/** What an opened step says of any cell, and how numbers are read and changed; read pages' documents, write findings. */
import {readFileSync} from "node:fs";

const [folder, file] = process.argv.slice(2);
/** @param {string} name */
const module = name => import(`${folder}/${name}.js`);
const {createModel} = await module("engine/model");
const {unpacked} = await module("engine/unpack");
const {mergedFrom, termsOf} = await module("engine/terms");
const {summedFor} = await module("views/products");
const {graphOf} = await module("views/graph");
const {directPath} = await module("engine/gradient_path");
const {openedRef, storedName} = await module("views/detail");
const {nudged, readNumber} = await module("views/edits");
const {scenesOf} = await module("views/scenes");
const {influenceSentence} = await module("views/influence");

/** Every number of a pass, at one step. */
function* numbersOf(model) {
  const places = model.layers.flatMap((one, layer) => one.cells.map((_, direction) => [layer, direction]));
  if (model.hasHead) places.push([model.layers.length, 0]);
  for (const [layer, direction] of places) {
    for (const name of [...model.order({layer, direction}, false), ...model.order({layer, direction}, true)]) {
      const shape = model.shape({layer, direction, name});
      const step = model.isOverall({layer, direction, name}) ? null : Math.min(2, model.steps - 1);
      for (let k = 0; k < shape.reduce((all, one) => all * one, 1); k += 1) {
        const at = shape.length === 2 ? [Math.floor(k / shape[1]), k % shape[1]] : shape.length ? [k] : [];
        yield {layer, direction, name, step, at};
      }
    }
  }
}

/** The sum of a number's products, over all steps where it is a sum over them. */
function summed(model, ref) {
  const steps = ref.step === null ? Array.from({length: model.steps}, (_, step) => step) : [ref.step];
  return steps.flatMap(step => termsOf(model, ref, step)).reduce((sum, term) => sum + term.value, 0);
}

/** Quantities that stand before what they need, or twice. */
function misplaced({nodes}) {
  const names = nodes.map(node => node.name);
  const early = nodes.flatMap(({name, sources}, k) =>
    sources.filter(source => !names.slice(0, k).includes(source)).map(source => `${name} before ${source}`),
  );
  return [...early, ...names.filter((name, k) => names.indexOf(name) < k)];
}

/** Numbers that are merged of both directions, and those of them that are not what is said. */
function mergedIn(model) {
  const made = {sum: (a, b) => a + b, mul: (a, b) => a * b, average: (a, b) => (a + b) / 2};
  const top = {layer: model.layers.length, direction: 0, name: "r", step: 2, at: [1]};
  const inner = model.layers
    .slice(1)
    .flatMap((one, n) => one.cells.map((_, direction) => ({...top, layer: n + 1, direction, name: "x"})));
  const found = [...inner, ...(model.hasHead ? [top] : [])]
    .map(ref => ({ref, merged: mergedFrom(model, ref)}))
    .filter(one => one.merged);
  const wrong = found.filter(
    ({ref, merged: {how, parts}}) =>
      Math.abs(model.number(ref) - made[how](...parts.map(one => model.number(one)))) > 1e-12,
  );
  return {count: found.length, how: found[0]?.merged.how ?? null, wrong: wrong.map(one => one.ref)};
}

const cases = JSON.parse(readFileSync(file, "utf8"));
const pages = [];
const doc = await unpacked(cases[0].document); // whose words are those of all
for (const {name, document} of cases) {
  const whole = await unpacked(document);
  const model = createModel(whole.scenes ? scenesOf(whole)[0] : whole);
  model.setLoss({of: "h", layer: model.layers.length - 1, direction: 0, unit: 0, step: model.steps - 1});
  const found = {name, numbers: 0, wrong: [], nodes: [], misplaced: [], path: null};
  for (const ref of numbersOf(model)) {
    found.numbers += 1;
    const [value, sum] = [model.number(ref), summed(model, ref)];
    if (!(Math.abs(value - sum) <= 1e-11 * Math.max(1, Math.abs(value))))
      found.wrong.push(`${ref.name}[${ref.at}]: ${sum}, not ${value}`);
    const state = {
      layer: ref.layer,
      direction: ref.direction,
      step: ref.step ?? 0,
      unit: ref.at[0] ?? 0,
      detail: storedName(model, ref),
    };
    const opened = openedRef(model, state);
    if (!opened || opened.name !== ref.name || String(opened.at) !== String(ref.at) || opened.layer !== ref.layer)
      found.wrong.push(`${state.detail} does not open`);
  }
  const graph = graphOf(model, {layer: 0, direction: 0}, (_, axes) => ({entries: axes.length ? [[0]] : [[]], rest: 0}));
  found.nodes = graph.nodes.map(node => node.name);
  found.misplaced = misplaced(graph);
  found.merged = mergedIn(model);
  const output = {layer: model.layers.length, direction: 0, name: "y", step: 0, at: [0]};
  found.summed = model.hasHead ? summedFor({model}, output).name : null;
  const path = directPath(model, {layer: 0, direction: 0}, 0);
  found.path = path && {...path, gradient: [...path.gradient], direct: [...path.direct]};
  pages.push(found);
}

const nudges = [
  ["-12", 1, false],
  ["0.5", -1, false],
  ["0.50", 1, false],
  ["0.35", 1, true],
  ["9", 1, true],
  ["1.2e-05", 1, false],
  ["-0.1", 1, false],
  ["x", 1, false],
];
const texts = ["1", "-0,5", "\u22121.5", " 2e3 ", ".5", "", "1e400", "0x10", "1 2", "NaN", "Infinity", "<b>"];
const effects = [
  [0, 1, 0.5, 0.001],
  [0, 0, 0, 0],
  [0, 1, 0.9, 0.8],
  [0, 1, 0.001, 0],
];
process.stdout.write(
  JSON.stringify({
    pages,
    nudged: nudges.map(([text, way, before]) => nudged(text, way, before)),
    read: texts.map(readNumber),
    reach: effects.map(sizes => influenceSentence({doc}, Float64Array.from(sizes), 1)),
  }),
);
