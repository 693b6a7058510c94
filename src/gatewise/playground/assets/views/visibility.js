/**
 * Predict, then see: the numbers that are asked for, and so are hidden, and what was typed in their place.
 *
 * For every view: where `isHidden(state, ref)` is true, show "?" and no more of that number: no value in a label or a
 * title, no level, bar, fill or point on a curve, and no sentence that tells it. Text in a live region leaves it out.
 * It is false for all numbers where nothing is asked, and again once the answer is right or was shown.
 */
import {areWithin, judgeExpected} from "../judge/expected.js";
import {judgeLines} from "../judge/judge.js";
import {writtenNumber} from "../judge/numerals.js";

const HOLDING = ["right", "close"];

/** Whether a number that was typed holds. @param {Verdict | undefined} verdict */
export function isHeld(verdict) {
  return verdict !== undefined && [...HOLDING, "follows"].includes(verdict.status);
}

/** Whether all that is asked has an answer that holds. @param {Answer | null} answer */
export function isAnswered(answer) {
  return answer?.lines.every(name => isHeld(answer.judged[name])) ?? false;
}

/** Whether a number is hidden: it is asked for, or would give the answer away. @param {State} state @param {Ref} ref
 * @returns {boolean} */
export function isHidden({answer}, ref) {
  if (answer === null || answer.shown || isAnswered(answer)) return false;
  const {step} = ref;
  const asked = answer.ref;
  if (step === asked.step && HOLDING.includes(answer.judged[ref.name]?.status)) return false;
  if (step === null || ref.layer !== asked.layer || ref.direction !== asked.direction) return false;
  if (ref.at.length === 1 && asked.at.length === 1 && ref.at[0] !== asked.at[0]) return false;
  return answer.hides.some(({names, from, to}) => from <= step && step <= to && names.includes(ref.name));
}

/** Some quantities and all that follows from them within a step. @param {Model} model @param {Place} place
 * @param {string[]} names @param {boolean} backward @returns {string[]} */
function followingNames(model, {layer, direction}, names, backward) {
  const place = {layer, direction};
  const following = new Set(names);
  for (const name of model.order(place, backward)) {
    if (model.inputs({...place, name}).some(input => following.has(input))) following.add(name);
  }
  return [...following];
}

/**
 * The places of a number and of all that follows from it: at its step, and as far as it is carried.
 * @param {Model} model @param {Answer["ref"]} ref @param {string[]} lines @param {boolean} backward @returns {Hide[]}
 */
function hidesOf(model, {layer, direction, step}, lines, backward) {
  const place = {layer, direction};
  const {program, direction: pass} = model.cell(place);
  const carried = backward
    ? program.carry_backward.flatMap(carry => [carry, gradientAt(program, carry)])
    : program.carry;
  const isOnwards = (pass === "backward") === backward; // whether later steps take from this one
  const away = isOnwards ? {from: step + 1, to: model.steps - 1} : {from: 0, to: step - 1};
  return [
    {names: followingNames(model, place, lines, backward), from: step, to: step},
    {names: [...new Set(carried.flatMap(({into, source}) => [into, source]))], ...away},
  ];
}

/** The gradient that a step carries back, at the state of the step before. @param {Program} program @param {Carry} carry
 * @returns {Carry} */
function gradientAt({carry, quantities}, {into, source}) {
  const state = carry.find(forward => forward.into === quantities.record(source).gradient_of)?.source ?? "";
  return {into, source: quantities.gradient(state) ?? source};
}

/**
 * Hide a number, or several of one step, and ask for them.
 * @param {Opening} page @param {Answer["ref"]} ref the last of them @param {string[]} [lines] @param {Hide[]} [hides]
 * @returns {Answer}
 */
export function question({model}, ref, lines = [ref.name], hides = []) {
  const backward = model.order(ref, true).includes(ref.name);
  const hidden = hides.length ? hides : hidesOf(model, ref, lines, backward);
  return {ref, lines, hides: hidden, typed: {}, judged: {}, shown: false, backward, worked: false, chapter: null};
}

/**
 * Judge a number that was typed; those typed before it are judged again, since they may have been changed.
 * @param {Page} page @param {string} name @param {string} text @param {Expectation | null} [expectation] of a chapter
 * @returns {Verdict | null} null where nothing is asked
 */
export function answerLine({doc, model, store}, name, text, expectation = null) {
  const {answer} = store.state;
  if (answer === null || !doc.grader) return null;
  const {ref, backward, hides} = answer;
  const typed = {...answer.typed, [name]: text};
  const mistakes = doc.edits?.[doc.wiring.layers[ref.layer][ref.direction].program] ?? null;
  const unseen = new Set(hides.flatMap(({names}) => names));
  const number = writtenNumber(text);
  const {right} = answer;
  const status = number === null ? "unread" : number === "ambiguous" ? number : "wrong";
  /** @type {Record<string, Verdict>} */
  const judged =
    right === undefined
      ? judgeLines(model, ref, typed, {mistakes, grader: doc.grader, backward, unseen, usual: answer.worked})
      : {[name]: {status, name, text, right, from: [], cause: null, says: ""}};
  if (expectation && number !== null && number !== "ambiguous") {
    Object.assign(judged[name], judgeExpected(number, expectation), {right: expectation.right});
  }
  for (const verdict of Object.values(judged)) {
    if (answer.worked && isTooShort(verdict, doc.grader)) verdict.status = "coarse";
    if (!["wrong", "near"].includes(verdict.status)) continue;
    const isImpossible = isNoGate(model, {...ref, name: verdict.name}, verdict.text);
    if (isImpossible) Object.assign(verdict, {status: "expected", says: doc.phrases.lesson["no gate"]});
  }
  store.change({answer: {...answer, typed, judged}});
  return judged[name] ?? null;
}

/** Whether a number that holds has too few digits. @param {Verdict} verdict @param {Grader} grader */
function isTooShort({status, text, right}, {tolerance}) {
  const number = writtenNumber(text);
  if (!HOLDING.includes(status) || number === null || number === "ambiguous") return false;
  return !areWithin(number.tolerance, 0, tolerance) && !areWithin(number.value, right, 0);
}

/** Whether a text is a number that a gate cannot be. @param {Model} model @param {Ref} ref @param {string} text */
function isNoGate(model, ref, text) {
  const roles = model.roles(ref);
  const tree = model.equation(ref)?.right;
  const isSigmoid = tree?.node === "call" && (tree.activation?.name ?? "").endsWith("sigmoid");
  const number = writtenNumber(text);
  if (number === null || number === "ambiguous" || !isSigmoid) return false;
  return (
    [roles.input_gate, roles.forget_gate, roles.output_gate].includes(ref.name) && Math.abs(number.value - 0.5) > 0.5
  );
}

/** Show what was asked for. @param {Page} page */
export function giveUp({store}) {
  const {answer} = store.state;
  if (answer !== null) store.change({answer: {...answer, shown: true}});
}
