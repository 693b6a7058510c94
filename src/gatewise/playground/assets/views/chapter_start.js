/** The beginning of a chapter: its edits and its question. */
import {figure} from "../engine/figures.js";
import {areWithin} from "../judge/expected.js";
import {openedRef} from "./detail.js";
import {sameEdits} from "./hash.js";
import {drawnEdits} from "./random_cell.js";
import {originalState} from "./start.js";
import {askedLines} from "./worksheet.js";
import {question} from "./visibility.js";

const SLOT = /\{([^{}]+)\}/g;

/** The chapters of all scenes. @param {Pick<Page, "doc">} page @returns {Chapter[]} */
export function chaptersOf({doc}) {
  return doc.chapters ?? [];
}

/** Whether a chapter's question stays the same, whatever the cell reads. @param {Pick<Page, "doc">} page
 * @param {number | null} number */
export function isOfAnyText(page, number) {
  return number !== null && chaptersOf(page)[number]?.right !== undefined;
}

/**
 * A chapter as it is asked: as it was made (0), or with the numbers of one of its draws.
 * @param {Pick<Page, "doc">} page @param {number} number @param {number} draw @returns {Chapter}
 */
export function drawnChapter(page, number, draw) {
  const chapter = chaptersOf(page)[number];
  const drawn = chapter.draws?.[draw - 1];
  if (drawn === undefined) return chapter;
  const {edits: made, mistakes} = chapter;
  const {edits: values = [], mistakes: wrong = []} = drawn;
  const base = made === "drawn" ? [] : made;
  const edits = values.map((value, n) => (typeof value === "number" ? {...base[n], value} : value));
  return {
    ...chapter,
    question: chapter.again ?? chapter.question,
    right: drawn.right ?? chapter.right,
    put: drawn.put,
    edits: edits.length ? edits : made,
    mistakes: mistakes.map((mistake, n) => ({...mistake, value: wrong[n] ?? mistake.value})),
  };
}

/** The next of a chapter's draws. @param {Page} page @param {number} number */
export function nextDraw({doc, store}, number) {
  return (store.state.draw + 1) % (1 + (doc.chapters?.[number].draws?.length ?? 0));
}

/** The draw whose edits are among some; the first one where none is. @param {Opening} page @param {number} number
 * @param {Edit[]} edits */
function drawOf(page, number, edits) {
  const draws = chaptersOf(page)[number].draws ?? [];
  const isIn = (/** @type {Edit} */ edit) => edits.some(other => sameEdits([edit], [other]));
  return 1 + draws.findIndex((drawn, n) => drawn.edits && editsOfChapter(page, number, n + 1).every(isIn));
}

/** The edits that a chapter supposes. @param {Opening} page @param {number} number @param {number} draw @returns {Edit[]} */
function editsOfChapter(page, number, draw) {
  const {edits, ask} = drawnChapter(page, number, draw);
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
  const {ask, mistakes, right: stated} = drawnChapter(page, number, store.state.draw);
  if (ask.tolerance === undefined) return null;
  /** @param {number | string} factor @param {number} step */
  const numberOf = (factor, step) => (typeof factor === "number" ? factor : numberIn(model, ask, factor, step));
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
  const others = numbers.filter(({value}) => !areWithin(value, right, tolerance)); // or it is right
  return {right, tolerance, mistakes: others.map(({value, says}) => ({value, says: filledText(page, number, says)}))};
}

/** A number of a cell by its name, at a step that stands behind it or else is given. @param {Model} model
 * @param {Chapter["ask"]} ask @param {string} name @param {number} otherwise */
function numberIn(model, {at}, name, otherwise) {
  const [detail, step = otherwise] = name.split("@");
  const ref = openedRef(model, {layer: 0, direction: 0, unit: at[0], step: Number(step), detail});
  return ref === null ? Number.NaN : model.number(ref);
}

/**
 * A text of a chapter with numbers in its slots: those of the chapter, or of the cell as the chapter supposes it.
 * @param {Page} page @param {number} number @param {string} text
 */
export function filledText(page, number, text) {
  const {model, store} = page;
  const {ask, edits, put = {}} = drawnChapter(page, number, store.state.draw);
  const given = edits === "drawn" ? [] : edits.map(({value}) => value);
  const written = (/** @type {number} */ value) => figure(value).replace("-", "−");
  const known = text.replace(SLOT, (slot, name) =>
    name in given || name in put ? written(given[name] ?? put[name]) : slot,
  );
  if (!known.includes("{")) return known;
  model.edit(edits === "drawn" ? store.state.premise : edits.map(editOf));
  const filled = known.replace(SLOT, (_, name) => written(numberIn(model, ask, name, ask.step)));
  model.edit(store.state.edits);
  return filled;
}

/** @param {Chapter["ask"]} ask */
export function askedRef({name = "", step, at}) {
  return {layer: 0, direction: 0, name, step, at};
}

/** The question of a chapter. @param {Opening} page @param {number} number @param {number} [draw] */
export function questionOf(page, number, draw = 0) {
  const {ask, focus, right} = drawnChapter(page, number, draw);
  const ref = askedRef(ask);
  if (ask.lines) return {...askedLines(page, ref, ask.lines, Boolean(focus.backward)), chapter: number};
  const answer = question(page, ref, [ref.name], ask.hide);
  const also = {names: ask.also ?? [], from: ask.step, to: ask.step};
  return {...answer, hides: [...answer.hides, also], chapter: number, right};
}

/**
 * The part of a state that a chapter sets when it begins: its edits, to which going back leads, and its question. With
 * other edits, it has begun if its own are among them.
 * @param {Opening} page @param {number} number @param {Edit[]} [others]
 * @param {number} [draw] of its numbers @returns {Partial<State>}
 */
export function atChapter(page, number, others, draw = drawOf(page, number, others ?? [])) {
  const supposed = editsOfChapter(page, number, draw);
  const edits = others ?? supposed;
  const isIn = (/** @type {Edit} */ edit) => edits.some(({ref}) => JSON.stringify(ref) === JSON.stringify(edit.ref));
  const isHere = chaptersOf(page)[number].ask.step < page.model.steps;
  const {own} = chaptersOf(page)[number].focus;
  const settings = page.doc.reads && !isOfAnyText(page, number) ? {own: {}} : own && !others ? {own} : {};
  const begun = {edits, draw, chapter: number, ...settings};
  if (!isHere || !supposed.every(isIn)) return begun;
  const premise = chaptersOf(page)[number].edits === "drawn" ? edits : supposed;
  return {...begun, premise, answer: questionOf(page, number, draw)};
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
 * @param {number} number @param {number} [draw] @returns {Partial<State>} */
export function beginning(page, number, draw = 0) {
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
    ...atChapter(page, number, undefined, draw),
  };
}
