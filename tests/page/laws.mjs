/** Whether the page computes what Python computed: the same check in node and in a browser. */

/**
 * The greatest difference of two tensors over the largest entry of the expected one; what is nothing must be nothing.
 * @param {number[]} found
 * @param {(number | string)[]} expected
 */
export function distance(found, expected) {
  if (found.length !== expected.length) return Infinity;
  const numbers = expected.map(Number);  // "nan" is none; infinities are compared as they are
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
 * @param {{name: string, document: any, loss: any, edits?: any[], expected: any[]}} one
 */
export function check(createModel, one) {
  const model = createModel(one.document), found = {name: one.name, tensors: 0, worst: 0, where: ""};
  if (one.edits) {
    model.value(0, 0, "h", model.steps - 1);
    model.edit(one.edits);
  }
  model.setLoss(one.loss.of === "all" ? {...one.loss, dy: Float64Array.from(one.loss.dy.flat(Infinity))} : one.loss);
  for (const {layer, direction, name, summed, values} of one.expected) {
    const steps = summed ? [null] : Array.from({length: values.length}, (_, step) => step);
    const numbers = steps.flatMap((step) => [...model.value(layer, direction, name, step)]);
    const by = distance(numbers, values.flat(Infinity));
    found.tensors++;
    if (by > found.worst) Object.assign(found, {worst: by, where: `${name} of layer ${layer}, direction ${direction}`});
    if (summed && one.steps !== false) {
      const by = addsUp(model, one.document.inputs.valid, layer, direction, name, numbers);
      if (by > found.worst) Object.assign(found, {worst: by, where: `the steps of ${name} of layer ${layer}, direction ${direction}`});
    }
  }
  return found;
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
  const sum = new Array(total.length).fill(0), once = layer === model.layers.length && model.readsLast;
  for (let step = 0; step < (once ? 1 : model.steps); step++) {
    if (!once && layer < model.layers.length && valid && !valid[step]) continue;
    model.value(layer, direction, name, step).forEach((/** @type {number} */ one, /** @type {number} */ n) => { sum[n] += one; });
  }
  return distance(sum, total);
}
