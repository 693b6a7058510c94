/** Numbers of one digit in the place of a cell's own: a cell to work out by hand. */

/**
 * Edits that give the first cell parameters, an input and a state of one digit.
 * @param {Model} model @param {number} step of the input and the state: the first of the cell @returns {Edit[]}
 */
export function drawnEdits(model, step) {
  const place = {layer: 0, direction: 0};
  /** @type {Edit[]} */
  const edits = [];
  for (const {symbol: name, kind} of model.givens(place)) {
    const at = kind === "parameter" ? null : step;
    for (const entry of placesIn(model.shape({...place, name}))) {
      const ref = {...place, name, step: at, at: entry};
      if (model.isGiven(ref)) edits.push({ref, value: drawnDigit()});
    }
  }
  return edits;
}

/** A number with one digit, not 0: it is to matter. */
function drawnDigit() {
  const drawn = Math.floor(Math.random() * 18) - 9;
  return (drawn < 0 ? drawn : drawn + 1) / 10;
}

/** @param {number[]} shape @returns {number[][]} */
function placesIn(shape) {
  return shape.reduce(
    (places, size) => places.flatMap(place => Array.from({length: size}, (_, n) => [...place, n])),
    /** @type {number[][]} */ ([[]]),
  );
}
