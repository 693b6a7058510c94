/** Tasks to learn: sequences that a seed determines, and the error of what a network puts out. */

const HOLDS = 6; // steps from one event of the latch to the next, at most
const SOON = 4; // steps until an echo's bit comes, at most

/**
 * Numbers between 0 and 1 that a seed and a number determine: mulberry32, which begins at
 * seed · 2654435761 + number · 2246822507, modulo 2³².
 * @param {number} seed @param {number} number
 */
export function drawsOf(seed, number) {
  let state = (Math.imul(seed, 2654435761) + Math.imul(number, 2246822507)) | 0;
  return () => {
    state = (state + 1831565813) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A task's sequence by its number: the inputs bit, write and release, and the output that is wanted, NaN where none is.
 * Sequence n is that of update n; −1 is the probe, the same for all seeds.
 * @param {TrainingSettings} settings @param {number} steps @param {number} number
 */
export function sequenceOf({task, delay, seed}, steps, number) {
  const draw = drawsOf(number < 0 ? 0 : seed, number + 2);
  const upTo = (/** @type {number} */ most) => 1 + Math.floor(draw() * most);
  const bit = () => (draw() < 0.5 ? -1 : 1);
  const x = new Float64Array(3 * steps);
  const target = new Float64Array(steps).fill(NaN);
  if (task === "echo") {
    for (let step = upTo(SOON) - 1; step + delay < steps; step += delay + upTo(SOON)) {
      target[step + delay] = x[3 * step] = bit();
    }
    return {x, target};
  }
  for (let step = 0; step < steps; step++) x[3 * step] = bit();
  for (let step = 0, held = 0, writes = true; step < steps; step += upTo(HOLDS)) {
    if (writes) held = x[3 * step];
    else target[step] = held;
    x[3 * step + (writes ? 1 : 2)] = 1;
    writes = !writes || draw() < 0.25; // now and then a bit is written over
  }
  return {x, target};
}

/**
 * The mean squared error of a network's output, as a loss: its value, and its gradient with respect to the output.
 * @param {Network} network @param {Float64Array} target NaN where nothing is wanted
 * @returns {Extract<Loss, {of: "all"}> & {value: number}}
 */
export function outputError({output}, target) {
  const dy = new Float64Array(target.length);
  const count = target.reduce((sum, wanted) => sum + (Number.isNaN(wanted) ? 0 : 1), 0);
  let value = 0;
  target.forEach((wanted, step) => {
    if (Number.isNaN(wanted)) return;
    output.forward.to(step);
    const off = output.rowOf("output", step)[0] - wanted;
    value += (off * off) / count;
    dy[step] = (2 * off) / count;
  });
  return {of: "all", dy, value};
}
