/** How a chapter begins: what it supposes and asks. */
import {drawnEdits} from "./random_cell.js";
import {askedLines} from "./worksheet.js";
import {question} from "./visibility.js";

/** @param {Pick<Page, "doc">} page @returns {Chapter[]} */
export function chaptersOf({doc}) {
  return doc.chapters ?? [];
}

/** The edits of a chapter: what is supposed in it. @param {Page} page @param {number} number @returns {Edit[]} */
function editsOfChapter(page, number) {
  const {edits, ask} = chaptersOf(page)[number];
  if (edits === "drawn") return drawnEdits(page.model, 0, ask.step);
  return edits.map(({name, step, at, value}) => ({ref: {layer: 0, direction: 0, name, step, at}, value}));
}

/** What a chapter asks for. @param {Page} page @param {number} number */
export function questionOf(page, number) {
  const {ask, focus} = chaptersOf(page)[number];
  const ref = {layer: 0, direction: 0, name: ask.name ?? "", step: ask.step, at: ask.at};
  if (ask.lines) return {...askedLines(page, ref, ask.lines, Boolean(focus.backward)), chapter: number};
  const answer = question(page, ref, [ref.name], ask.hide);
  const also = {names: ask.also ?? [], from: ask.step, to: ask.step};
  return {...answer, hides: [...answer.hides, also], chapter: number};
}

/**
 * What a chapter that has begun adds to a state: what it supposes, to which going back leads, and its question. Where other
 * edits are given, it has begun if what it supposes is among them.
 * @param {Page} page @param {number} number @param {Edit[]} [given] @returns {Partial<State>}
 */
export function atChapter(page, number, given) {
  const supposed = editsOfChapter(page, number);
  const edits = given ?? supposed;
  const isIn = (/** @type {Edit} */ one) => edits.some(({ref}) => JSON.stringify(ref) === JSON.stringify(one.ref));
  if (!supposed.every(isIn)) return {edits, chapter: number};
  const premise = chaptersOf(page)[number].edits === "drawn" ? edits : supposed;
  return {edits, premise, chapter: number, answer: questionOf(page, number)};
}

/** Whether two lists of edits are the same. @param {Edit[]} one @param {Edit[]} other */
export function sameEdits(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The state in which a chapter begins: its focus, its edits, and its number hidden. @param {Page} page
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
