/** The whole lesson on paper: every chapter with lines to write on, and the answers at the end. */
import {createModel} from "../engine/model.js";
import {figure} from "../engine/figures.js";
import {proseNodes} from "./answer_field.js";
import {askedRef, beginning, chaptersOf, filledText} from "./chapter_start.js";
import {el} from "./dom.js";
import {pagePhrase} from "./phrases.js";
import {originalState} from "./start.js";
import {isHidden} from "./visibility.js";
import {workedLines} from "./worksheet.js";

const LINES = 3; // to write on, below each question

/** A chapter's scene as it begins, with a model of its own. @param {Page} page @param {number} number
 * @param {Map<string, Model>} models of the scenes so far @returns {Page} */
function chapterPage(page, number, models) {
  const {scene} = chaptersOf(page)[number];
  const doc = page.lesson?.scenes.find(one => one.scene === scene) ?? page.doc;
  const model = models.get(scene) ?? createModel(doc);
  models.set(scene, model);
  const opening = {doc, model, lesson: page.lesson};
  const state = {...originalState(opening), ...beginning(opening, number)};
  model.edit(state.edits);
  model.setLoss(state.loss);
  return {...page, ...opening, store: {...page.store, state}};
}

/** The numbers of a cell that was drawn, each quantity with its entries. @param {Page} page */
function drawnNumbers({store}) {
  /** @type {Map<string, number[]>} */
  const numbers = new Map();
  for (const {ref, value} of store.state.edits) numbers.set(ref.name, [...(numbers.get(ref.name) ?? []), value]);
  return [...numbers].map(([name, values]) => `\`${name}\` = ${values.map(value => figure(value)).join("  ")}`);
}

/** The numbers that a chapter's number is computed from, which the page shows; none if it hides one of them.
 * @param {Page} page @param {number} number */
function shownNumbers({doc, model, store: {state}}, number) {
  const {ask, right} = chaptersOf({doc})[number];
  if (ask.lines || right !== undefined) return [];
  const ref = askedRef(ask);
  const refs = model.inputs(ref).map(name => ({...ref, name}));
  if (refs.some(one => isHidden(state, one))) return [];
  return [refs.map(one => `\`${one.name}\` = ${figure(model.number(one))}`).join(", ")];
}

/** The answer to a chapter: its number; of lines, each with its own. @param {Page} page @param {number} number */
function answerText({doc, model}, number) {
  const {ask, right} = chaptersOf({doc})[number];
  const ref = askedRef(ask);
  if (right !== undefined) return figure(right);
  const lines = ask.lines ? workedLines({doc, model, lesson: null}, ref, false) : [ref.name];
  return lines.map(name => `\`${name}\` = ${figure(model.number({...ref, name}))}`).join(", ");
}

/** @param {Page} page */
function paper(page) {
  const models = new Map();
  const pages = chaptersOf(page).map((_, number) => chapterPage(page, number, models));
  /** The model of a scene has the numbers of the last chapter that was prepared. @param {Page} own */
  const prepare = own => {
    own.model.edit(own.store.state.edits);
    own.model.setLoss(own.store.state.loss);
  };
  const chapters = pages.map((own, number) => {
    prepare(own);
    const {title, text, question, edits} = chaptersOf(page)[number];
    const prose = (/** @type {string} */ one) => proseNodes(own, filledText(own, number, one));
    const given = edits === "drawn" ? drawnNumbers(own) : shownNumbers(own, number);
    return el(
      "section",
      {},
      el("h2", {}, `${number + 1}. ${title}`),
      ...[...text, ...given].map(one => el("p", {}, ...prose(one))),
      el("p", {class: "question"}, ...prose(question)),
      ...Array.from({length: LINES}, () => el("div", {class: "blank"})),
    );
  });
  const answers = pages.map((own, number) => {
    prepare(own);
    const after = filledText(own, number, chaptersOf(page)[number].after);
    prepare(own);
    return el("li", {}, ...proseNodes(own, `${answerText(own, number)}. ${after}`));
  });
  return [
    ...chapters,
    el("section", {class: "key"}, el("h2", {}, pagePhrase(page, "answers")), el("ol", {}, ...answers)),
  ];
}

/** What is printed behind the view that is open; it is written when the page is printed. @param {Page} page */
export function paperView(page) {
  const element = el("div", {class: "paper"});
  const fill = () => element.replaceChildren(...paper(page));
  const print = matchMedia("print");
  addEventListener("beforeprint", fill, {signal: page.closed});
  print.addEventListener("change", ({matches}) => matches && fill(), {signal: page.closed});
  return chaptersOf(page).length ? element : null;
}
