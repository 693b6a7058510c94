/** Readings of a run: values at a step, single entries, entries over all steps, sums. */

/**
 * The value of a name at a step; of the gradient of a parameter where the step is null, its sum over all steps.
 * @param {ProgramRun} run @param {string} name @param {number | null} step @returns {Float64Array}
 */
export function valueIn(run, name, step) {
  const {bound} = run,
    slot = bound.slot(name),
    quantity = run.quantity(name);
  if (Object.hasOwn(run.setting.constants, name)) return slot.data;
  if (step === null) return sumIn(run, name);
  run.to(name, step);
  if (quantity === undefined || quantity.stored) return slot.data.subarray(step * slot.size, (step + 1) * slot.size);
  if (!run.takesPart(step)) return new Float64Array(slot.size).fill(NaN);
  run.standAt(name, step);
  if (!quantity.always) quantity.run();
  return slot.data.slice();
}

/** One entry of a value. @param {ProgramRun} run @param {string} name @param {number | null} step @param {number} n */
export function entryIn(run, name, step, n) {
  const quantity = run.quantity(name);
  if (step === null || quantity?.op.entry === undefined || !run.takesPart(step)) return valueIn(run, name, step)[n];
  run.to(name, step);
  run.standAt(name, step);
  return quantity.op.entry(n);
}

/**
 * One entry of a value at every step; nothing (NaN) where a step takes no part.
 * @param {ProgramRun} run @param {string} name @param {number} n
 */
export function seriesIn(run, name, n) {
  const series = new Float64Array(run.steps),
    isStored = run.quantity(name)?.stored ?? true,
    {data, size} = run.bound.slot(name);
  for (let step = 0; step < run.steps; step++) {
    run.to(name, step);
    if (!run.takesPart(step)) series[step] = NaN;
    else series[step] = isStored ? data[step * size + n] : entryIn(run, name, step, n);
  }
  return series;
}

/** The sum of a quantity over all steps that take part. @param {ProgramRun} run @param {string} name */
function sumIn(run, name) {
  const sum = run.sums.get(name),
    quantity = run.bound.backward.get(name);
  if (sum !== undefined) return sum;
  if (quantity === undefined || !quantity.sums) throw new Error(`${name} is not summed over steps`);
  const {slot} = quantity.op,
    total = new Float64Array(slot.size);
  for (const step of run.backward.order) {
    run.backward.to(step);
    if (!run.takesPart(step)) continue;
    run.standAt(name, step);
    if (quantity.op.addTo !== undefined) {
      quantity.op.addTo(total);
      continue;
    }
    if (!quantity.always) quantity.run();
    for (let n = 0; n < slot.size; n++) total[n] += slot.data[slot.offset + n];
  }
  run.sums.set(name, total);
  return total;
}
