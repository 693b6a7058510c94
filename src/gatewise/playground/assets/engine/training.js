/** Training: first weights that a seed determines, and updates by the backward pass of the programs. */
import {Network} from "./network.js";
import {valueIn} from "./readings.js";
import {drawsOf, outputError, sequenceOf} from "./tasks.js";

export const MOST_UPDATES = 5000;
const WIDEST = 0.5; // first weights: 1/√units, of four units
const MEAN_DECAY = 0.9; // of Adam: the share of the mean gradient that an update keeps
const SQUARE_DECAY = 0.999; // and of the mean square
const SMALLEST = 1e-8; // what Adam adds to the root of the mean square

/** A network that learns: after so many updates it depends on the wiring and the settings alone. */
export class Trainer {
  /** @param {Wiring} wiring @param {TrainingSettings} settings */
  constructor(wiring, settings) {
    this.settings = settings;
    this.steps = wiring.steps;
    this.network = new Network(wiring);
    this.parameters = parametersOf(this.network);
    const weights = firstWeights(this.parameters, settings);
    const zeros = weights.map(() => 0);
    this.at = 0; // after so many updates
    this.states = [{weights, mean: zeros, square: zeros.slice()}]; // after each; mean and square are Adam's
    /** @type {number[]} */
    this.losses = []; // before each, and the next
    /** @type {ReturnType<Trainer["update"]> | null} */
    this.next = null;
  }

  get weights() {
    return this.states[this.at].weights;
  }

  /**
   * The next update: its loss, its gradient with the norm and the share that clipping leaves, and what follows.
   * @returns {{at: number, loss: number, norm: number, share: number, gradient: Float64Array, after: Trainer["states"][0]}}
   */
  update() {
    if (this.next?.at === this.at) return this.next;
    const {network, weights, at, settings} = this;
    const {x, target} = sequenceOf(settings, this.steps, at);
    const gradient = weights.map(() => 0);
    takeNumbers(network, weights, x);
    const error = outputError(network, target);
    network.loss = error;
    this.losses[at] = error.value;
    for (const {run, gradient: name, start} of this.parameters) gradient.set(valueIn(run, name, null), start);
    const norm = Math.hypot(...gradient);
    const share = settings.clip > 0 && norm > settings.clip ? settings.clip / norm : 1;
    const after = this.#changed(gradient, share);
    this.next = {at, loss: error.value, norm, share, gradient, after};
    return this.next;
  }

  /** The weights after the next update, by the rule of the settings. @param {Float64Array} gradient
   * @param {number} share of it */
  #changed(gradient, share) {
    const {optimiser, rate} = this.settings;
    const {weights, mean, square} = structuredClone(this.states[this.at]);
    const [ofMean, ofSquare] = [MEAN_DECAY, SQUARE_DECAY].map(decay => 1 - decay ** (this.at + 1));
    for (let n = 0; n < weights.length; n++) {
      const slope = share * gradient[n];
      mean[n] = MEAN_DECAY * mean[n] + (1 - MEAN_DECAY) * slope;
      square[n] = SQUARE_DECAY * square[n] + (1 - SQUARE_DECAY) * slope * slope;
      const adapted = mean[n] / ofMean / (Math.sqrt(square[n] / ofSquare) + SMALLEST);
      weights[n] -= rate * (optimiser === "adam" ? adapted : slope);
    }
    return {weights, mean, square};
  }

  /**
   * Go to the state after so many updates, for some milliseconds; whether there is more to do. It ends before an update
   * that leaves what is no finite number.
   * @param {number} at @param {number} milliseconds
   */
  goTo(at, milliseconds) {
    const end = performance.now() + milliseconds;
    this.at = Math.min(at, this.states.length - 1);
    while (this.at < at) {
      const {loss, after} = this.update();
      if (!Number.isFinite(loss) || !after.weights.every(Number.isFinite)) return false;
      this.states[++this.at] = after;
      if (performance.now() > end) break;
    }
    return this.at < at;
  }
}

/** The parameters of a network's programs, one behind the other, from `start` on each. @param {Network} network */
function parametersOf({cells, head}) {
  const runs = cells.flatMap((row, layer) => row.map((run, direction) => ({run, layer, direction})));
  if (head !== null) runs.push({run: head, layer: cells.length, direction: 0});
  let start = 0;
  return runs.flatMap(({run, ...place}) => {
    const {given, quantities} = run.setting.program;
    return given.flatMap(({symbol: name, kind}) => {
      if (kind !== "parameter") return [];
      const {shape, size} = run.bound.slot(name);
      start += size;
      return {...place, run, name, gradient: quantities.gradient(name) ?? "", shape, size, start: start - size};
    });
  });
}

/** First weights: matrices row by row, drawn; biases are 0, that of the forget gate as it is set.
 * @param {ReturnType<typeof parametersOf>} parameters @param {TrainingSettings} settings */
function firstWeights(parameters, {seed, bias}) {
  const draw = drawsOf(seed, 0);
  const numbers = parameters.flatMap(({run, name, shape, size}) => {
    const first = run.setting.program.quantities.record(name).gate === "f" ? bias : 0;
    return Array.from({length: size}, () => (shape.length > 1 ? WIDEST * (2 * draw() - 1) : first));
  });
  return Float64Array.from(numbers);
}

/** Let a network begin anew from other parameters and another input. @param {Network} network
 * @param {Float64Array} weights all parameters, one behind the other @param {Float64Array} x */
export function takeNumbers(network, weights, x) {
  network.x.set(x);
  for (const {run, name, start, size} of parametersOf(network)) {
    run.bound.slot(name).data.set(weights.subarray(start, start + size));
  }
  for (const run of network.runs) {
    run.fresh = false;
    run.forget(0, run.steps - 1);
  }
}
