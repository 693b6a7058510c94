/** Whether the page computes what Python computed: the same check in node and in a browser. */

/**
 * The greatest difference of two tensors over the largest entry of the expected one; what is nothing must be nothing.
 * @param {number[]} found
 * @param {(number | string)[]} expected
 */
export function distance(found, expected) {
  if (found.length !== expected.length) return Infinity;
  const numbers = expected.map(Number); // "nan" is none; infinities are compared as they are
  const large = Math.max(0, ...numbers.filter(Number.isFinite).map(Math.abs));
  let most = 0;
  for (let n = 0; n < numbers.length; n++) {
    if (Object.is(found[n], numbers[n]) || found[n] === numbers[n]) continue;
    const by = Math.abs(found[n] - numbers[n]);
    most = Math.max(most, Number.isNaN(by) ? Infinity : by / large);
  }
  return most;
}

/**
 * Hold a model against what Python computed of its document.
 * @param {(doc: any) => any} createModel
 * @param {{name: string, document: any, loss: any, expected: any[], embedding?: number[][]}} one
 */
export function check(createModel, one) {
  const model = createModel(one.document),
    found = {name: one.name, tensors: 0, worst: 0, where: ""};
  model.setLoss(lossOf(one.loss));
  if (one.embedding)
    Object.assign(found, {
      worst: distance([...embeddingGradient(model)], one.embedding.flat()),
      where: "the embedding",
    });
  for (const {layer, direction, name, summed, values, at} of one.expected) {
    const steps = summed ? [null] : at !== undefined ? [at] : Array.from({length: values.length}, (_, step) => step);
    const numbers = steps.flatMap(step => [...model.value({layer, direction, name, step})]);
    const by = distance(numbers, [values].flat(Infinity));
    found.tensors++;
    if (by > found.worst) Object.assign(found, {worst: by, where: `${name} of layer ${layer}, direction ${direction}`});
    if (summed && one.steps !== false) {
      const by = addsUp(model, one.document.inputs.valid, layer, direction, name, numbers);
      if (by > found.worst)
        Object.assign(found, {worst: by, where: `the steps of ${name} of layer ${layer}, direction ${direction}`});
    }
  }
  return found;
}

/** The gradient of the embedding's table: of each token, what arrives at its rows. */
function embeddingGradient({network, wiring: {embedding, tokens, steps}}) {
  const gradient = new Float64Array(embedding.data.length),
    width = embedding.shape[1];
  for (const run of network.cells[0]) {
    for (let step = 0; step < steps; step++) {
      run.backward.to(step);
      if (!run.takesPart(step)) continue;
      const row = run.row(run.gradientOf("input"), step);
      for (let n = 0; n < width; n++) gradient[tokens[step] * width + n] += row[n];
    }
  }
  return gradient;
}

/** A loss as the model takes it. */
function lossOf(loss) {
  if (loss.of !== "all") return loss;
  const after = Object.entries(loss.after ?? {}).map(([name, value]) => [name, Float64Array.from(value)]);
  return {...loss, dy: Float64Array.from(loss.dy.flat(Infinity)), after: Object.fromEntries(after)};
}

/**
 * How far the gradients of a parameter at every step are from adding up to the gradient.
 * @param {any} model
 * @param {boolean[] | null} valid
 * @param {number} layer
 * @param {number} direction
 * @param {string} name
 * @param {number[]} total
 */
function addsUp(model, valid, layer, direction, name, total) {
  const sum = new Array(total.length).fill(0),
    once = layer === model.layers.length && model.readsLast;
  for (let step = 0; step < (once ? 1 : model.steps); step++) {
    if (!once && layer < model.layers.length && valid && !valid[step]) continue;
    model.value({layer, direction, name, step}).forEach((/** @type {number} */ one, /** @type {number} */ n) => {
      sum[n] += one;
    });
  }
  return distance(sum, total);
}

/**
 * Numbers between 0 and 1 that a seed determines.
 * @param {number} seed
 */
export function draws(seed) {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * An edited run is the run of the edited document, in whatever order numbers are edited and looked at.
 * @param {(doc: any) => any} createModel
 * @param {(written: any) => {shape: number[], data: Float64Array}} decode
 * @param {{name: string, document: any, loss: any}} one
 * @param {number} seed
 */
export function checkEdits(createModel, decode, one, seed) {
  const draw = draws(seed),
    model = createModel(one.document),
    places = editable(model, one.document);
  const loss = lossOf(one.loss);
  model.setLoss(loss);
  const pick = () => {
    const {ref, shape} = places[Math.floor(draw() * places.length)];
    return {ref: {...ref, at: shape.map(length => Math.floor(draw() * length))}, value: draw() * 4 - 2};
  };
  let edits = [];
  for (let round = 0; round < 5; round++) {
    edits = [...(draw() < 0.5 ? edits : edits.slice(1)), pick()];
    model.edit(edits);
    const layer = Math.floor(draw() * model.layers.length),
      step = Math.floor(draw() * model.steps);
    model.value({layer, direction: 0, name: "h", step});
    if (draw() < 0.3) model.value({layer, direction: 0, name: "dh", step});
    if (draw() < 0.3) model.finish(1);
  }
  const last = new Map(edits.map(edit => [JSON.stringify(edit.ref), edit]));
  const fresh = createModel(editedDocument(one.document, decode, model, [...last.values()]));
  fresh.setLoss(loss);
  const found = {name: one.name, tensors: 0, worst: 0, where: ""};
  for (const {layer, direction, name, summed} of everyName(model)) {
    const by = distance(
      allSteps(model, layer, direction, name, summed),
      allSteps(fresh, layer, direction, name, summed),
    );
    found.tensors++;
    if (by > found.worst)
      Object.assign(found, {worst: by, where: `${name} of layer ${layer}, direction ${direction}, after edits`});
  }
  model.edit([]);
  const untouched = createModel(one.document);
  if (distance(allSteps(model, 0, 0, "h", false), allSteps(untouched, 0, 0, "h", false)) > 0)
    Object.assign(found, {worst: Infinity, where: "back to the original"});
  return found;
}

/** What may be edited, each with the shape of its places. */
function editable(model, document) {
  const places = [];
  model.layers.forEach(({cells}, layer) =>
    cells.forEach(({program, direction: way}, direction) => {
      for (const {symbol, kind} of program.given) {
        const first = way === "backward" ? model.steps - 1 : 0;
        const step = kind === "state" ? first : null;
        if (kind === "parameter" || kind === "state")
          places.push({
            ref: {layer, direction, name: symbol, step},
            shape: model.shape({layer, direction, name: symbol}),
          });
      }
    }),
  );
  if (model.hasHead)
    for (const name of Object.keys(document.wiring.head.constants))
      places.push({
        ref: {layer: model.layers.length, direction: 0, name, step: null},
        shape: model.shape({layer: model.layers.length, direction: 0, name}),
      });
  if (document.wiring.embedding === null) {
    for (let step = 0; step < model.steps; step++)
      places.push({
        ref: {layer: 0, direction: 0, name: "x", step},
        shape: model.shape({layer: 0, direction: 0, name: "x"}),
      });
  }
  return places;
}

/** A document with other numbers in it. */
function editedDocument(document, decode, model, edits) {
  const made = structuredClone(document);
  const put = (holder, key, place, value) => {
    const {shape, data} = decode(holder[key]);
    data[place.reduce((sum, n, axis) => sum * shape[axis] + n, 0)] = value;
    holder[key] = nested(shape, data);
  };
  // Programs and parameters may be shared by cells: each gets its own.
  made.wiring.layers.forEach(row =>
    row.forEach(cell => {
      cell.parameters = made.parameters.push(structuredClone(made.parameters[cell.parameters])) - 1;
    }),
  );
  for (const {
    ref: {layer, direction, name, step, at},
    value,
  } of edits) {
    if (layer === model.layers.length) put(made.wiring.head.constants, name, at, value);
    else if (name === "x") put(made.inputs, "x", [step, ...at], value);
    else if (step !== null) put(made.inputs.state[layer][direction], name.slice(0, 1), at, value);
    else put(made.parameters[made.wiring.layers[layer][direction].parameters], name, at, value);
  }
  return made;
}

/** @param {number[]} shape @param {Float64Array} data @returns {any} */
function nested([length, ...inner], data) {
  if (length === undefined) return data[0];
  const size = data.length / length;
  return Array.from({length}, (_, n) => nested(inner, data.subarray(n * size, (n + 1) * size)));
}

/** Every name of a model that is computed. */
function everyName(model) {
  const found = [];
  const visit = (layer, direction) => {
    for (const backward of [false, true]) {
      for (const name of model.order({layer, direction}, backward)) {
        found.push({layer, direction, name, summed: model.equation({layer, direction, name}).sums});
      }
    }
  };
  model.layers.forEach(({cells}, layer) => cells.forEach((_, direction) => visit(layer, direction)));
  visit(model.layers.length, 0);
  return found;
}

/** All numbers of a name. */
function allSteps(model, layer, direction, name, summed) {
  const steps = summed ? [null] : Array.from({length: model.steps}, (_, step) => step);
  return steps.flatMap(step => [...model.value({layer, direction, name, step})]);
}
