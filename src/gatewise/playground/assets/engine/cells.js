/** What the cells of a network are: their sizes, their programs, and what their units and inputs are called. */

/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./program_run.js").Run} Run */
/** @typedef {import("./binding.js").Program} Program */
/** @typedef {{features?: string[] | null, units?: string[][] | null, outputs?: string[] | null}} Names */
/**
 * @typedef {object} Cell
 * @property {string} direction
 * @property {number} hidden
 * @property {number} recurrent
 * @property {number} inputs
 * @property {Program} program
 * @property {string[]} units
 * @property {string[]} features
 */

/** The cells of every layer. @param {Network} network @param {Names} names @returns {{cells: Cell[]}[]} */
export function cellsOf(network, names) {
  return network.cells.map((row, layer) => ({
    cells: row.map(run => {
      const recurrent = sizeIn(run, "h"),
        hidden = run.has("c") ? sizeIn(run, "c") : recurrent,
        inputs = sizeIn(run, "x");
      const features = layer === 0 ? names.features : putOut(network, names, layer - 1);
      return {
        direction: wayOf(run),
        hidden,
        recurrent,
        inputs,
        program: run.setting.program,
        units: namesOf(hidden, names.units?.[layer], "unit "),
        features: namesOf(inputs, features, "x"),
      };
    }),
  }));
}

/**
 * Names, or numbers behind a letter where there are none.
 * @param {number} count @param {string[] | null | undefined} names @param {string} letter
 */
export function namesOf(count, names, letter) {
  return Array.from({length: count}, (_, n) => names?.[n] ?? `${letter}${n}`);
}

/**
 * What a layer puts out: hidden states of its units, and of each direction where they lie side by side.
 * @param {Network} network @param {Names} names @param {number} layer
 */
function putOut(network, names, layer) {
  const runs = network.cells[layer],
    units = names.units?.[layer];
  const apart = runs.length > 1 && sizeIn(network.merges[layer], "y") > sizeIn(runs[0], "h");
  return (apart ? runs : runs.slice(0, 1)).flatMap(run => {
    const size = sizeIn(run, "h"),
      isProjected = run.has("c") && sizeIn(run, "c") !== size;
    const own = isProjected ? null : units?.map((unit, n) => (unit === String(n) ? `h${n}` : `h(${unit})`));
    const way = apart ? ` ${wayOf(run)}` : "";
    return namesOf(size, own, "h").map(state => `${state}${way} (layer ${layer})`);
  });
}

/** @param {Run} run */
function wayOf(run) {
  return run.setting.reverse ? "backward" : "forward";
}

/** @param {Run} run @param {string} name */
function sizeIn(run, name) {
  return run.bound.slot(name).size;
}
