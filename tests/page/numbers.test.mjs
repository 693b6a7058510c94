/** Node computes from documents what Python computed: GATEWISE_PAGE_CASES is a file of cases, as tests/page_cases.py makes them. */

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {decode} from "../../src/gatewise/playground/assets/arrays.js";
import {createModel} from "../../src/gatewise/playground/assets/model.js";
import {check, checkEdits} from "./laws.mjs";

const path = process.env.GATEWISE_PAGE_CASES;
const cases = path === undefined ? [] : JSON.parse(readFileSync(path, "utf8"));
const LARGEST = 1e-12;  // of the largest entry of a tensor

test("every quantity is what Python computed", {skip: cases.length === 0}, () => {
  let worst = 0;
  for (const one of cases) {
    const found = check(createModel, one);
    assert.ok(found.worst <= LARGEST, JSON.stringify(found));
    worst = Math.max(worst, found.worst);
  }
  console.log(`${cases.length} runs, at most ${worst.toExponential(1)} off`);
});

test("an edited run is the run of the edited document", {skip: cases.length === 0}, () => {
  cases.forEach((/** @type {any} */ one, /** @type {number} */ seed) => {
    if (one.loss.of !== "all") return;
    const found = checkEdits(createModel, decode, one, seed);
    assert.ok(found.worst <= LARGEST, JSON.stringify(found));
  });
});
