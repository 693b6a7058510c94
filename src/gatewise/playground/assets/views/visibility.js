/**
 * Predict, then see: which numbers are asked for, and so are hidden, and what was typed in their place.
 *
 * For every view: where `hidden(state, ref)` is true, show "?" and no more of that number: no value in a label or a
 * title, no level, bar, fill or point on a curve, and no sentence that tells it. Text in a live region leaves it out.
 * It is false for all numbers where nothing is asked, and again once the answer is right or was shown.
 */
import {judgeLines} from "../judge/judge.js";

/** @typedef {import("./store.js").Ref} Ref */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("../engine/model.js").Model} Model */
/** @typedef {import("../judge/judge.js").Verdict} Verdict */
/** @typedef {{names: string[], from: number, to: number}} Hide  quantities of one cell, from one step to another */
/**
 * What is asked, as State.answer holds it.
 * @typedef {object} Answer
 * @property {Ref} ref the number that is asked for, or the last of several
 * @property {string[]} lines the quantities that are asked for at its step, in the order of the program
 * @property {Hide[]} hides
 * @property {Record<string, string>} typed by quantity
 * @property {Record<string, Verdict>} judged by quantity
 * @property {boolean} shown whether it was given up, and everything is shown
 * @property {boolean} backward whether it belongs to the backward pass
 * @property {boolean} worked whether lines of a step are asked for, and not one number
 * @property {number | null} chapter the one that asks, or null
 */

/** Whether a verdict lets the number be seen. @param {Verdict | undefined} verdict */
function isDone(verdict) {
  return verdict !== undefined && ["right", "close", "coarse", "follows"].includes(verdict.status);
}

/** Whether all that is asked has an answer that holds. @param {Answer | null} answer */
export function isAnswered(answer) {
  return answer?.lines.every(name => isDone(answer.judged[name]));
}

/**
 * Whether a number must not be seen, since it is asked for or gives away what is: see above.
 * @param {State} state @param {Ref} ref @returns {boolean}
 */
export function hidden(state, ref) {
  /** @type {Answer | null} */
  const answer = state.answer;
  if (answer === null || answer.shown || isAnswered(answer)) return false;
  const asked = answer.ref;
  const {step} = ref;
  if (step === asked.step && ["right", "close", "coarse"].includes(answer.judged[ref.name]?.status)) return false;
  if (step === null || ref.layer !== asked.layer || ref.direction !== asked.direction) return false;
  if (ref.at.length === 1 && asked.at.length === 1 && ref.at[0] !== asked.at[0]) return false;
  return answer.hides.some(({names, from, to}) => from <= step && step <= to && names.includes(ref.name));
}

/** What follows from some quantities within a step, they included. @param {Model} model @param {Ref} ref
 * @param {string[]} from @param {boolean} backward @returns {string[]} */
function followingNames(model, ref, from, backward) {
  const found = new Set(from);
  for (const name of model.order(ref.layer, ref.direction, backward)) {
    if (model.inputs(ref.layer, ref.direction, name).some(one => found.has(one))) found.add(name);
  }
  return [...found];
}

/**
 * Where a number and what follows from it is seen: at its step, and as far as it is carried.
 * @param {Model} model @param {Ref} ref @param {string[]} lines @param {boolean} backward @returns {Hide[]}
 */
function hidesOf(model, ref, lines, backward) {
  const cell = model.layers[ref.layer].cells[ref.direction];
  const step = ref.step ?? 0;
  const last = model.steps - 1;
  const carries = backward ? cell.program.carry_backward : cell.program.carry;
  const here = followingNames(model, ref, lines, backward);
  /** @type {string[]} */
  const carried = [
    ...new Set(carries.flatMap((/** @type {any} */ one) => [one.into, one.source, one.source.replace("_prev", "")])),
  ];
  const onwards = (cell.direction === "backward") === backward; // whether later steps take from this one
  const away = onwards ? {from: step + 1, to: last} : {from: 0, to: step - 1};
  return [
    {names: here, from: step, to: step},
    {names: carried, ...away},
  ];
}

/** The program of a cell's known mistakes. @param {Page} page @param {Ref} ref */
function editsAt(page, ref) {
  const {program} = page.doc.wiring.layers[ref.layer][ref.direction];
  return page.doc.edits?.[program] ?? null;
}

/** Whether a quantity belongs to the backward pass. @param {Model} model @param {Ref} ref */
function isBackward(model, ref) {
  return model.order(ref.layer, ref.direction, true).includes(ref.name);
}

/**
 * Hide a number, or several of one step, and ask for them.
 * @param {Page} page @param {Ref} ref the last of them @param {string[]} [lines] @param {Hide[]} [hides]
 * @returns {Answer}
 */
export function asked(page, ref, lines = [ref.name], hides = []) {
  const backward = isBackward(page.model, ref);
  const found = hides.length ? hides : hidesOf(page.model, ref, lines, backward);
  return {ref, lines, hides: found, typed: {}, judged: {}, shown: false, backward, worked: false, chapter: null};
}

/**
 * Judge a number that was typed; those typed before it are judged again, since they may have been changed.
 * @param {Page} page @param {string} name @param {string} text @returns {Verdict | null} null where nothing is asked
 */
export function answerLine(page, name, text) {
  /** @type {Answer | null} */
  const answer = page.store.state.answer;
  if (answer === null) return null;
  const typed = {...answer.typed, [name]: text};
  const judged = judgeLines(page.model, answer.ref, typed, {
    mistakes: editsAt(page, answer.ref),
    grader: page.doc.grader,
    backward: answer.backward,
    unseen: new Set(answer.hides.flatMap(one => one.names)),
  });
  page.store.change({answer: {...answer, typed, judged}});
  return judged[name] ?? null;
}

/** Show what was asked for. @param {Page} page */
export function giveUp(page) {
  /** @type {Answer | null} */
  const answer = page.store.state.answer;
  if (answer !== null) page.store.change({answer: {...answer, shown: true}});
}
