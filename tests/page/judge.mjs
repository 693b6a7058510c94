/** Judges numbers that were typed, for tests in Python: node judge.mjs ASSETS CASES, and the verdicts as JSON. */
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [, , assets, file] = process.argv;
const {createModel} = await import(pathToFileURL(`${assets}/model.js`).href);
const {judgeLines} = await import(pathToFileURL(`${assets}/judge.js`).href);
const {causeText} = await import(pathToFileURL(`${assets}/verdicts.js`).href);
const {docs, cases, phrases} = JSON.parse(readFileSync(file, "utf8"));
const models = docs.map((doc) => createModel(doc));

const found = cases.map(({doc, ref, typed, backward, unseen}) => {
  const model = models[doc];
  const {program} = docs[doc].wiring.layers[ref.layer][ref.direction];
  const mistakes = docs[doc].edits[program];
  const {units, features} = model.layers[ref.layer].cells[ref.direction];
  const called = (line, axis, n) => (axis === 0 ? units[n] : [...units, ...features][n]);
  const how = {mistakes, backward, called, ...(unseen ? {unseen: new Set(unseen)} : {})};
  const verdicts = judgeLines(model, ref, typed, how);
  return Object.fromEntries(Object.entries(verdicts).map(([name, one]) => [name, {
    ...one,
    causes: one.causes.map((cause) => ({...cause, says: causeText(cause, phrases)})),
  }]));
});
process.stdout.write(JSON.stringify(found));
