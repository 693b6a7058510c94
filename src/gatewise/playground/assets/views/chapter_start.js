/** The beginning of a chapter: its edits and its question. */
import {areWithin} from "../judge/expected.js";
import {openedRef} from "./detail.js";
import {drawnEdits} from "./random_cell.js";
import {originalState} from "./start.js";
import {askedLines} from "./worksheet.js";
import {question} from "./visibility.js";

/** The chapters of all scenes. @param {Pick<Page, "doc">} page @returns {Chapter[]} */
export function chaptersOf({doc}) {
  return doc.chapters ?? [];
}

/** Whether a chapter's question stays the same, whatever the cell reads. @param {Pick<Page, "doc">} page
 * @param {number | null} number */
export function isOfAnyText(page, number) {
  return number !== null && chaptersOf(page)[number]?.right !== undefined;
}

/** The edits that a chapter supposes. @param {Opening} page @param {number} number @returns {Edit[]} */
function editsOfChapter(page, number) {
  const {edits, ask} = chaptersOf(page)[number];
  if (edits === "drawn") return drawnEdits(page.model, ask.step);
  return edits.map(editOf);
}

/** @param {ChapterEdit} edit @returns {Edit} */
function editOf({name, step, at, value}) {
  return {ref: {layer: 0, direction: 0, name, step, at}, value};
}

/** The number that a chapter asks for, and its mistakes' numbers, in the cell as the chapter supposes it.
 * @param {Page} page @param {number} number @returns {Expectation | null} */
export function expectationOf(page, number) {
  const {model, store} = page;
  const {ask, mistakes, right: stated} = chaptersOf(page)[number];
  if (ask.tolerance === undefined) return null;
  /** @param {number | string} factor @param {number} step @returns {number} */
  const numberOf = (factor, step) => {
    if (typeof factor === "number") return factor;
    const ref = openedRef(model, {layer: 0, direction: 0, unit: ask.at[0], step, detail: factor});
    return ref === null ? Number.NaN : model.number(ref);
  };
  const numbers = mistakes.map(({value, step = ask.step, edits = [], says}) => {
    if (typeof value === "number") return {value, says};
    model.edit([...store.state.premise, ...edits.map(editOf)]);
    const products = value.map(factors =>
      factors.map(factor => numberOf(factor, step)).reduce((product, factor) => product * factor),
    );
    return {value: products.reduce((sum, product) => sum + product), says};
  });
  model.edit(store.state.premise);
  const {name = "", tolerance} = ask;
  const right = stated ?? numberOf(name, ask.step);
  return {right, tolerance, mistakes: numbers.filter(({value}) => !areWithin(value, right, tolerance))}; // or it is right
}

/** @param {Chapter["ask"]} ask */
export function askedRef({name = "", step, at}) {
  return {layer: 0, direction: 0, name, step, at};
}

/** The question of a chapter. @param {Opening} page @param {number} number */
export function questionOf(page, number) {
  const {ask, focus, right} = chaptersOf(page)[number];
  const ref = askedRef(ask);
  if (ask.lines) return {...askedLines(page, ref, ask.lines, Boolean(focus.backward)), chapter: number};
  const answer = question(page, ref, [ref.name], ask.hide);
  const also = {names: ask.also ?? [], from: ask.step, to: ask.step};
  return {...answer, hides: [...answer.hides, also], chapter: number, right};
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
  const isHere = chaptersOf(page)[number].ask.step < page.model.steps;
  const begun = {edits, chapter: number, ...(page.doc.reads && !isOfAnyText(page, number) ? {own: {}} : {})};
  if (!isHere || !supposed.every(isIn)) return begun;
  const premise = chaptersOf(page)[number].edits === "drawn" ? edits : supposed;
  return {...begun, premise, answer: questionOf(page, number)};
}

/** The first line of what a chapter asks for: the first hidden one that leads there. @param {Page} page
 * @param {number} number @returns {Ref} */
export function firstLine(page, number) {
  const {focus, ask} = chaptersOf(page)[number];
  const ref = askedRef(ask);
  const {from, to} = ask.hide?.find(({names}) => names.includes(ref.name)) ?? {from: ask.step, to: ask.step};
  const inputs = page.model.inputs(ref);
  const name = ask.also?.find(line => inputs.includes(line)) ?? ref.name;
  return {...ref, name, step: focus.backward ? to : from};
}

/** The state in which a chapter begins: its focus, its edits, and its number hidden. @param {Opening} page
 * @param {number} number @returns {Partial<State>} */
export function beginning(page, number) {
  const chapter = chaptersOf(page)[number];
  const {model} = page;
  const {step = 0} = chapter.focus;
  return {
    layer: 0,
    direction: 0,
    unit: 0,
    backward: false,
    product: null,
    playing: false,
    begun: false,
    loss: originalState(page).loss,
    detail: chapter.ask.name ?? model.roles({layer: 0, direction: 0}).hidden_state,
    ...chapter.focus,
    ...(step < model.steps ? {} : {step: model.steps - 1}),
    ...atChapter(page, number),
  };
}
