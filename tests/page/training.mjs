/** What training does, for Python to compare: updates from given weights, the chain from the seed's, and fresh errors. */
import {readFileSync} from "node:fs";

const [, , assets, data] = process.argv;
const {wiringOf} = await import(`${assets}/engine/wiring.js`);
const {Trainer, takeNumbers} = await import(`${assets}/engine/training.js`);
const {outputError, sequenceOf} = await import(`${assets}/engine/tasks.js`);

/** Every update, begun where Python stands. */
function updates(trainer, states) {
  return states.map(({at, ...arrays}) => {
    const state = Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, Float64Array.from(values)]));
    Object.assign(trainer, {at, next: null});
    trainer.states[at] = state;
    const {
      loss,
      norm,
      gradient,
      after: {weights, mean, square},
    } = trainer.update();
    return {loss, norm, gradient: [...gradient], weights: [...weights], mean: [...mean], square: [...square]};
  });
}

/** The state after so many updates, gone to in one stretch and by ways there and back. */
function chain(wiring, settings, count) {
  const trainer = new Trainer(wiring, settings),
    first = [...trainer.weights],
    ways = [];
  for (const at of [count, 0, 1, count - 3, 30, 26, count]) {
    while (trainer.goTo(at, 1));
    if (trainer.at !== at) throw new Error(`it is at ${trainer.at}, not ${at}`);
    if (at === count) ways.push([...trainer.weights]);
  }
  return {first, last: ways[0], again: ways[1], losses: trainer.losses.slice(0, count)};
}

/** The mean squared error, and the largest error of an output, on sequences that no update has seen. */
function fresh(wiring, settings, count) {
  const trainer = new Trainer(wiring, settings),
    {network, steps} = trainer,
    found = {at: 0, loss: 0, worst: 0};
  while (trainer.goTo(count, 1000));
  for (let number = 1_000_000; number < 1_000_050; number++) {
    const {x, target} = sequenceOf(settings, steps, number);
    takeNumbers(network, trainer.weights, x);
    found.loss += outputError(network, target).value / 50;
    target.forEach((wanted, step) => {
      const off = Math.abs(network.output.rowOf("output", step)[0] - wanted);
      if (off > found.worst) found.worst = off;
    });
  }
  return {...found, at: trainer.at};
}

const {document, cases} = JSON.parse(readFileSync(data, "utf8"));
const answers = cases.map(({settings, states, count, learned}) => {
  const wiring = wiringOf(document, 60e6);
  if (learned) return fresh(wiring, settings, learned);
  const sequences = [-1, 0, 1, 7].map(number => {
    const {x, target} = sequenceOf(settings, wiring.steps, number);
    return {x: [...x], target: [...target]};
  });
  const made = states ? updates(new Trainer(wiring, settings), states) : [];
  return {updates: made, chain: count ? chain(wiring, settings, count) : null, sequences};
});
process.stdout.write(JSON.stringify(answers));
