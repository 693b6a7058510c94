/** The strip's labels touch no other, and its logarithmic scale is one. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {decadesFor, onDecades, tablePlace} from "../../src/gatewise/playground/assets/views/colours.js";
import {labelPlaces} from "../../src/gatewise/playground/assets/views/timeline.js";

let seed = 11;
/** The same numbers each time, from 0 to below 1. */
function any() {
  seed = (seed * 48271) % 2147483647;
  return seed / 2147483647;
}

test("no two labels along time touch, however long each is, and the chosen step has one", () => {
  for (let n = 0; n < 500; n++) {
    const steps = 1 + Math.floor(any() * 400);
    const [first, cell] = [Math.floor(any() * steps), 1 + any() * 80];
    const count = 1 + Math.floor(any() * (steps - first));
    const widths = Array.from({length: steps}, () => (n % 2 ? 60 : 5 + any() * 200));
    const [total, chosen] = [cell * steps, Math.floor(any() * steps)];
    const places = labelPlaces({first, count, cell, total, chosen, widthOf: step => widths[step]});
    assert.equal(places.filter(({step}) => step === chosen).length, 1);
    const sorted = places.toSorted((a, b) => a.middle - b.middle);
    sorted.forEach(({step, middle}, k) => {
      const left = middle - widths[step] / 2;
      if (widths[step] < total) assert.ok(left > -1e-9 && left + widths[step] < total + 1e-9);
      if (k === 0) return;
      const before = sorted[k - 1];
      assert.ok(left - before.middle - widths[before.step] / 2 > 1, JSON.stringify(sorted));
    });
    const free = (cell * count) / (Math.max(...widths) + 12);
    if (n % 2) assert.ok(places.length > free / 3 - 2, `${places.length} of ${free}`); // and room is used
  }
});

test("on a logarithmic scale a tenth is as far from its tenth as from what it is a tenth of, on both sides", () => {
  for (let n = 0; n < 200; n++) {
    const [largest, decades] = [10 ** (40 * any() - 20), 2 + Math.floor(any() * 11)];
    const place = value => onDecades(value, largest, decades);
    for (let k = 0; k < decades; k++) {
      assert.ok(Math.abs(place(largest / 10 ** k) - (1 - k / decades)) < 1e-12);
      assert.equal(place(-largest / 10 ** k), -place(largest / 10 ** k));
    }
    for (const value of [0, largest / 10 ** (decades + 1)]) assert.equal(place(value), 0);
    assert.equal(decadesFor(largest, largest / 10 ** (decades - 0.5)), decades);
    const scale = {name: "signed", low: -largest, high: largest, decades};
    const colours = [-largest, -largest / 10, 0, largest / 10, largest].map(value => tablePlace(scale, value));
    assert.deepEqual([colours[0], colours[4]], [0, 255]);
    assert.ok(colours.every((colour, k) => k === 0 || colour > colours[k - 1]));
  }
  assert.equal(decadesFor(1, 1), 2);
  assert.equal(decadesFor(1, 0), 12);
});
