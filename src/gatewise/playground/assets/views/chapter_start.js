/** The beginning of a chapter: its edits and its question. */
import {drawnEdits} from "./random_cell.js";
import {askedLines} from "./worksheet.js";
import {question} from "./visibility.js";

/** The chapters of all scenes. @param {Pick<Page, "doc">} page @returns {Chapter[]} */
export function chaptersOf({doc}) {
  return doc.chapters ?? [];
}

/** The edits that a chapter supposes. @param {Opening} page @param {number} number @returns {Edit[]} */
function editsOfChapter(page, number) {
  const {edits, ask} = chaptersOf(page)[number];
  if (edits === "drawn") return drawnEdits(page.model, 0, ask.step);
  return edits.map(({name, step, at, value}) => ({ref: {layer: 0, direction: 0, name, step, at}, value}));
}

/** The question of a chapter. @param {Opening} page @param {number} number */
export function questionOf(page, number) {
  const {ask, focus} = chaptersOf(page)[number];
  const ref = {layer: 0, direction: 0, name: ask.name ?? "", step: ask.step, at: ask.at};
  if (ask.lines) return {...askedLines(page, ref, ask.lines, Boolean(focus.backward)), chapter: number};
  const answer = question(page, ref, [ref.name], ask.hide);
  const also = {names: ask.also ?? [], from: ask.step, to: ask.step};
  return {...answer, hides: [...answer.hides, also], chapter: number};
}

/**
 * The part of a state that a chapter sets when it begins: its edits, to which going back leads, and its question. With
 * other edits, it has begun if its own are among them.
 * @param {Opening} page @param {number} number @param {Edit[]} [others] @returns {Partial<State>}
 */
export function atChapter(page, number, others) {
  const supposed = editsOfChapter(page, number);
  const edits = others ?? supposed;
  const isIn = (/** @type {Edit} */ edit) => edits.some(({ref}) => JSON.stringify(ref) === JSON.stringify(edit.ref));
  if (!supposed.every(isIn)) return {edits, chapter: number};
  const premise = chaptersOf(page)[number].edits === "drawn" ? edits : supposed;
  return {edits, premise, chapter: number, answer: questionOf(page, number)};
}

/** The state in which a chapter begins: its focus, its edits, and its number hidden. @param {Opening} page
 * @param {number} number @returns {Partial<State>} */
export function beginning(page, number) {
  const chapter = chaptersOf(page)[number];
  const {model} = page;
  return {
    layer: 0,
    direction: 0,
    unit: 0,
    backward: false,
    product: null,
    playing: false,
    loss: {of: "h", layer: 0, direction: 0, unit: 0, step: model.steps - 1},
    detail: chapter.ask.name ?? model.roles({layer: 0, direction: 0}).hidden_state,
    ...chapter.focus,
    ...atChapter(page, number),
  };
}
