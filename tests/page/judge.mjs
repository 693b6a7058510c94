/** Judges numbers that were typed, for tests in Python: node judge.mjs ASSETS CASES, and the verdicts as JSON. */
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [, , assets, file] = process.argv;
const {createModel} = await import(pathToFileURL(`${assets}/engine/model.js`).href);
const {judgeLines} = await import(pathToFileURL(`${assets}/judge/judge.js`).href);
const {verdictSentence} = await import(pathToFileURL(`${assets}/judge/verdicts.js`).href);
const {docs, cases, phrases, grader} = JSON.parse(readFileSync(file, "utf8"));
const models = docs.map(doc => createModel(doc));

const found = cases.map(({doc, ref, typed, backward, unseen, usual}) => {
  const model = models[doc];
  const {program} = docs[doc].wiring.layers[ref.layer][ref.direction];
  const mistakes = docs[doc].edits[program];
  const judging = {mistakes, grader, backward, usual, ...(unseen ? {unseen: new Set(unseen)} : {})};
  const verdicts = judgeLines(model, ref, typed, judging);
  const said = Object.entries(verdicts).map(([name, one]) => [name, {...one, says: verdictSentence(one, phrases)}]);
  return Object.fromEntries(said);
});
process.stdout.write(JSON.stringify(found));
