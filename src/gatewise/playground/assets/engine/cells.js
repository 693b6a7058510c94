/** The cells of a network: their sizes, their programs, and the names of their units and inputs. */

const ENGLISH = {forward: "forward", backward: "backward", layer: "layer"}; // where a document has no words

/** The cells of every layer. @param {Network} network @param {Labels} names @param {Phrases} [words] */
export function cellsOf(network, names, words = ENGLISH) {
  return network.cells.map((row, layer) => ({
    cells: row.map(run => {
      const recurrent = run.slotOf("hidden_state").size,
        hidden = run.roles.cell_state ? run.slotOf("cell_state").size : recurrent;
      const features = layer === 0 ? names.features : outputNames(network, names, layer - 1, words);
      return {
        direction: directionOf(run),
        hidden,
        recurrent,
        program: run.setting.program,
        units: namesOf(hidden, names.units?.[layer], "unit "),
        features: namesOf(run.slotOf("input").size, features, "x"),
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
 * The names of a layer's outputs: hidden states of its units, and of each direction where they lie side by side.
 * @param {Network} network @param {Labels} names @param {number} layer @param {Phrases} words
 */
function outputNames(network, names, layer, words) {
  const runs = network.cells[layer],
    units = names.units?.[layer];
  const apart = runs.length > 1 && network.merges[layer].slotOf("output").size > runs[0].slotOf("hidden_state").size;
  return (apart ? runs : runs.slice(0, 1)).flatMap(run => {
    const size = run.slotOf("hidden_state").size,
      isProjected = run.roles.cell_state && run.slotOf("cell_state").size !== size;
    const states = isProjected ? null : units?.map((unit, n) => (unit === String(n) ? `h${n}` : `h(${unit})`));
    const suffix = apart ? ` ${words[directionOf(run)]}` : "";
    return namesOf(size, states, "h").map(state => `${state}${suffix} (${words.layer} ${layer})`);
  });
}

/** @param {ProgramRun} run */
function directionOf(run) {
  return run.setting.reverse ? "backward" : "forward";
}
