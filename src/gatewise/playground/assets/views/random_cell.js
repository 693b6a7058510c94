/** Numbers of one digit in the place of a cell's own: a cell to work out by hand. */

/**
 * Edits that give a cell of the first layer parameters, an input and a state of one digit.
 * @param {Model} model @param {number} direction @param {number} step of the input and the state: the first of the cell
 * @param {() => number} [random] between 0 and 1 @returns {Edit[]}
 */
export function drawnEdits(model, direction, step, random = Math.random) {
  const place = {layer: 0, direction};
  /** @type {Edit[]} */
  const edits = [];
  for (const {symbol: name, kind} of model.givens(place)) {
    const at = kind === "parameter" ? null : step;
    for (const entry of placesIn(model.shape({...place, name}))) {
      const ref = {...place, name, step: at, at: entry};
      if (model.isGiven(ref)) edits.push({ref, value: digitDrawn(random)});
    }
  }
  return edits;
}

/** A number with one digit, not 0: it is to matter. @param {() => number} random */
function digitDrawn(random) {
  const drawn = Math.floor(random() * 18) - 9;
  return (drawn < 0 ? drawn : drawn + 1) / 10;
}

/** @param {number[]} shape @returns {number[][]} */
function placesIn(shape) {
  return shape.reduce(
    (places, size) => places.flatMap(place => Array.from({length: size}, (_, n) => [...place, n])),
    /** @type {number[][]} */ ([[]]),
  );
}
