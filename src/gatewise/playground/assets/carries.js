/** Mistakes in what a step takes from other steps, and mistakes that are made at every step. */

/** @typedef {import("./causes.js").Effect} Effect */
/** @typedef {import("./causes.js").Wrong} Wrong */
/** @typedef {import("./lines.js").Lines} Lines */
/** @typedef {import("./lines.js").Numbers} Numbers */
/** @typedef {import("./mistakes.js").Tier} Tier */
/** @typedef {import("./trees.js").Tree} Tree */
/** @typedef {[string, string, string, [string, string][]]} Taken kind, words, what is taken, and the sum of what it is of when */
/** @typedef {{into: string, terms: [string, number | string][]}} Put */

const MOST_BEFORE = 24;  // before the one that is asked for
const MOST_STATES = 96;  // of all units in them: the page waits while each mistake is made in all of them

/** Every mistake of the line's pass that is made in what a step takes, at this step or at every one; and the same of those
 * in lines. @param {Wrong} wrong @param {Iterable<Effect>} inLines @returns {Generator<Effect>} */
export function* acrossSteps({lines, mistakes, name}, inLines) {
  const pass = passOf(lines, lines.backward(name));
  const isShort = pass.place * (lines.shape(name)[0] ?? 1) <= MOST_STATES;
  if (pass.place > MOST_BEFORE || lines.model.steps > 4 * MOST_BEFORE || lines.model.wiring.valid?.includes(0)) return;
  for (const [, words, kind, puts] of asOne(pass.known(mistakes.carries ?? []))) {
    const cause = {kind, tier: /** @type {Tier} */ ("likely"), words, lines: puts.map((one) => one.into), gates: []};
    const key = JSON.stringify(puts);
    const always = !words.includes("{}");
    if (!always) yield {changes: new Map(), given: pass.taken(puts, pass.place, []), cause, near: -1, key};
    const given = isShort ? pass.upTo(new Map(), puts) : null;
    if (given) yield {changes: new Map(), given, cause: {...cause, every: !always}, near: -1, key: `${key} every`};
  }
  for (const effect of pass.place && isShort ? inLines : []) {
    const given = pass.upTo(effect.changes, []);
    if (given) yield {...effect, given, cause: {...effect.cause, every: true}, key: `${effect.key} every`};
  }
}

/** Mistakes alone, and those in the same words as one. @param {[string, string, string, Put][]} all
 * @returns {Generator<[string, string, string, Put[]]>} */
function* asOne(all) {
  for (const [key, words, kind, put] of all) {
    const same = all.filter((one) => one[0] === key).map((one) => one[3]);
    yield [key, words, kind, [put]];
    if (same.length > 1 && same[0] === put) yield [key, words, kind, same];
  }
}

/** A pass of a run, whose steps are counted as it goes. @param {Lines} lines @param {boolean} backward */
function passOf({model, ref: {layer, direction, step}, at: linesAt, backward: isBack}, backward) {
  const {program, direction: way} = model.layers[layer].cells[direction];
  const last = model.steps - 1, isReversed = (way === "backward") !== backward;
  const stepAt = (/** @type {number} */ n) => (isReversed ? last - n : n);
  const carry = /** @type {{into: string, source: string}[]} */ (backward ? program.carry_backward : program.carry);
  const names = model.order(layer, direction, backward);
  /** @param {string} name @param {number} n */
  const value = (name, n) => Float64Array.from(model.value(layer, direction, name, stepAt(n)));

  /** What a step takes with some of it put. @param {Put[]} puts @param {number} n @param {Numbers[]} past @returns {Numbers} */
  function taken(puts, n, past) {
    /** @type {Numbers} */
    const found = new Map();
    for (const {into, source} of n ? carry : []) {
      const moved = past[n - 1]?.get(source);
      if (moved) found.set(into, moved);
    }
    for (const {into, terms} of puts) {
      const isInput = !carry.some((one) => one.into === into);
      if (!isInput && !n) continue;
      const sum = value(into, n).fill(0);
      for (const [source, when] of terms) {
        const from = typeof when === "number" ? stepAt(when) : {first: isInput ? stepAt(0) : 0, two: n - 2, turned: last - n}[when] ?? n - 1;
        const isFirst = !isInput && (when === "first" || from < 0);
        const part = isFirst ? value(into, 0) : past[from]?.get(source) ?? value(source, from);
        part.forEach((one, k) => { sum[k] += one; });
      }
      found.set(into, sum);
    }
    return found;
  }

  /** What the asked step takes where mistakes are made at every step up to it; null where that is as it should be.
   * @param {Map<string, Tree>} changes @param {Put[]} puts */
  function upTo(changes, puts) {
    if ([...changes.keys()].some((name) => isBack(name) !== backward)) return null;
    /** @type {Numbers[]} */
    const past = [];
    for (let n = 0; n < stepAt(step); n++) {
      const lines = linesAt(stepAt(n)), moved = taken(puts, n, past);
      for (const name of names) {
        const tree = changes.get(name);
        if (!tree && !lines.uses(name).some((one) => moved.has(one))) continue;
        const found = lines.value(tree ?? lines.tree(name), moved, lines.shape(name));
        if (found === null) return null;
        moved.set(name, found);
      }
      past.push(moved);
    }
    const found = taken(puts, stepAt(step), past);
    return found.size ? found : null;
  }

  /** Which mistakes the pass can have, with the steps of inputs. @param {Taken[]} all @returns {[string, string, string, Put][]} */
  function known(all) {
    return all.flatMap(([kind, words, into, terms]) => {
      const isTaken = carry.some((one) => one.into === into);
      if (isTaken ? !step && !backward && !isReversed : backward || into !== "x") return [];
      const others = words.includes("{other}") ? [...Array(model.steps).keys()].filter((one) => one !== step) : [null];
      return others.map((other) => {
        const told = words.replace("{other}", String(other));
        const put = {into, terms: /** @type {Put["terms"]} */ (other === null ? terms : [[into, other]])};
        return /** @type {[string, string, string, Put]} */ ([kind + told, told, kind, put]);
      });
    });
  }
  return {place: stepAt(step), taken, upTo, known};
}
