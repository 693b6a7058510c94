/** Node computes from documents what Python computed: GATEWISE_PAGE_CASES is a file of cases, as tests/page_cases.py makes them. */

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {decode} from "../../src/gatewise/playground/assets/engine/arrays.js";
import {createModel} from "../../src/gatewise/playground/assets/engine/model.js";
import {check, checkEdits} from "./laws.mjs";

const path = process.env.GATEWISE_PAGE_CASES;
const cases = path === undefined ? [] : JSON.parse(readFileSync(path, "utf8"));
const LARGEST = 1e-12; // of the largest entry of a tensor

/** Runs of which everything is kept, and runs of which only states are. */
const WAYS = {everything: createModel, "states alone": (/** @type {any} */ doc) => createModel(doc, 0)};

for (const [way, create] of Object.entries(WAYS)) {
  test(`every quantity is what Python computed, keeping ${way}`, {skip: cases.length === 0}, () => {
    let worst = 0;
    for (const one of cases) {
      const found = check(create, one);
      assert.ok(found.worst <= LARGEST, JSON.stringify(found));
      worst = Math.max(worst, found.worst);
    }
    console.log(`${cases.length} runs, at most ${worst.toExponential(1)} off`);
  });

  test(`an edited run is the run of the edited document, keeping ${way}`, {skip: cases.length === 0}, () => {
    cases.forEach((/** @type {any} */ one, /** @type {number} */ seed) => {
      if (one.loss.of !== "all") return;
      const found = checkEdits(create, decode, one, seed);
      assert.ok(found.worst <= LARGEST, JSON.stringify(found));
    });
  });
}
