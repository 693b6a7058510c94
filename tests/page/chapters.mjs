/**
 * Answers the chapters of a teaching page, for tests in Python: node chapters.mjs ASSETS CASES. Of each chapter that asks
 * for one number: the numbers that it expects, and the verdicts on what is typed, each as its status and its sentence.
 */
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [, , assets, file] = process.argv;
const from = name => import(pathToFileURL(`${assets}/${name}.js`).href);
const {createModel} = await from("engine/model");
const {verdictSentence} = await from("judge/verdicts");
const {beginning, expectationOf} = await from("views/chapter_start");
const {scenesOf} = await from("views/scenes");
const {originalState} = await from("views/start");
const {createStore} = await from("views/store");
const {answerLine} = await from("views/visibility");
const {document, typed} = JSON.parse(readFileSync(file, "utf8"));

function pageOf(doc) {
  const opening = {doc, model: createModel(doc), lesson: null};
  return {...opening, store: createStore(originalState(opening))};
}

/** Every answer is the first one. */
function answers(page, number, texts) {
  const {model, store, doc} = page;
  const {name} = doc.chapters[number].ask;
  return texts.map(text => {
    store.change(beginning(page, number));
    model.edit(store.state.premise);
    model.setLoss(store.state.loss);
    const verdict = answerLine(page, name, text, expectationOf(page, number));
    return [text, verdict.status, verdictSentence(verdict, doc.phrases.lesson), verdict.cause?.kind ?? null];
  });
}

const scenes = scenesOf(document);
const found = document.chapters.flatMap(({key, scene, ask, mistakes}, number) => {
  if (ask.tolerance === undefined) return [];
  const page = pageOf(scenes.find(doc => doc.scene === scene));
  page.store.change(beginning(page, number));
  page.model.edit(page.store.state.premise);
  page.model.setLoss(page.store.state.loss);
  const expectation = expectationOf(page, number);
  return [
    {key, ...expectation, says: mistakes.map(({says}) => says), verdicts: answers(page, number, typed[key] ?? [])},
  ];
});
process.stdout.write(JSON.stringify(found));
