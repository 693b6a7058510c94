/** Worked lines that fade: a step as its lines, of which first the last is the person's, then two, then all. */
import {button, el, setText} from "./dom.js";
import {figure} from "../engine/figures.js";
import {equationOf} from "./formulas.js";
import {symbolElement, unitWords} from "./detail.js";
import {answerField, isOpen, showButton} from "./answer_field.js";
import {pagePhrase} from "./phrases.js";
import {question, isHidden, isAnswered} from "./visibility.js";

/** @typedef {{element: HTMLElement, update: (state: State) => void}} Sheet */

const MOST_INGREDIENTS = 12;
const CHOICES = /** @type {[string, number][]} */ ([
  ["last line", 1],
  ["two lines", 2],
  ["all lines", Infinity],
]);

/** The lines of a step that each unit has one number of, in their order.
 * @param {Opening} page @param {Place} place @param {boolean} backward @returns {string[]} */
export function workedLines({model}, {layer, direction}, backward) {
  const place = {layer, direction};
  return model.order(place, backward).filter(name => {
    const equation = model.equation({...place, name});
    return equation !== null && `${equation.axes}` === "units" && !equation.sums;
  });
}

/**
 * Ask for the last lines of a step.
 * @param {Opening} page @param {Answer["ref"]} place the cell, the step and the unit @param {number} count @param {boolean} backward
 * @returns {Answer}
 */
export function askedLines(page, place, count, backward) {
  const all = workedLines(page, place, backward);
  const lines = all.slice(Math.max(0, all.length - count));
  const ref = {...place, name: lines[lines.length - 1]};
  return {...question(page, ref, lines), worked: true};
}

/** Ask again for the same step, for more lines or fewer; what was typed stays.
 * @param {Page} page @param {number} count */
function changeCount(page, count) {
  const {answer} = page.store.state;
  if (answer === null) return;
  const next = askedLines(page, answer.ref, count, answer.backward);
  const {typed, chapter} = answer;
  page.store.change({answer: {...next, chapter, typed, judged: answer.judged}});
}

/** The inputs of a line beside other lines: weights, features and states, as numbers of the unit.
 * @param {Page} page @param {Answer} answer @param {string} name */
function ingredients(page, answer, name) {
  const {model, store} = page;
  const {ref} = answer;
  const [unit] = ref.at;
  const worked = workedLines(page, ref, answer.backward);
  const inputs = model.inputs({...ref, name}).filter(input => !worked.includes(input));
  const texts = inputs.map(input => {
    const part = {...ref, name: input};
    const shape = model.shape(part);
    const values = model.value(model.isOverall(part) ? {...part, step: null} : part);
    const ofUnit = shape.length === 2 ? values.subarray(unit * shape[1], (unit + 1) * shape[1]) : values;
    const isVector = shape.length === 2 || shape[0] !== model.cell(ref).hidden;
    const numbers = isVector || shape.length === 0 ? [...ofUnit] : [ofUnit[unit]];
    if (numbers.length > MOST_INGREDIENTS || isHidden(store.state, part)) return null;
    return el(
      "span",
      {class: "ingredient"},
      symbolElement(model.quantity(part)),
      ` ${numbers.map(number => figure(number)).join("   ")}`,
    );
  });
  return el("small", {class: "ingredients"}, ...texts);
}

/**
 * The lines of the step that is asked for, each with its number or a field.
 * @param {Page} page @param {string} group of its radio buttons @returns {Sheet}
 */
export function worksheet(page, group) {
  const rows = el("ol", {class: "worked-lines"});
  const choice = el("fieldset", {class: "choice"}, el("legend", {}, pagePhrase(page, "yours")));
  const outcome = el("p", {class: "outcome"});
  const show = showButton(page, "show lines", () => choice.querySelector("input:checked"));
  const element = el("div", {class: "worksheet"}, choice, rows, outcome, el("p", {class: "controls"}, show));
  let drawn = "";
  /** @type {Map<string, (answer: Answer | null) => void>} */
  const updates = new Map();

  for (const [key, count] of CHOICES) {
    const input = el("input", {type: "radio", name: group, value: key, onchange: () => changeCount(page, count)});
    choice.append(el("label", {}, input, " ", pagePhrase(page, key)));
  }

  /** @param {Answer} answer */
  function draw(answer) {
    updates.clear();
    rows.replaceChildren(...workedLines(page, answer.ref, answer.backward).map(name => row(answer, name)));
    const chosen = Math.min(answer.lines.length, 3);
    choice.querySelectorAll("input").forEach((input, n) => {
      input.checked = n === chosen - 1;
    });
  }

  /** @param {Answer} answer @param {string} name */
  function row(answer, name) {
    const equation = el("span", {class: "equation"}, equationOf(page, {...answer.ref, name}));
    if (answer.lines.includes(name)) {
      const field = answerField(page, name, pagePhrase(page, "line", {name}), {compact: true});
      updates.set(name, field.update);
      return el("li", {class: "yours"}, equation, ingredients(page, answer, name), field.element);
    }
    const number = el("span", {class: "number"});
    updates.set(name, () => {
      const ref = {...answer.ref, name};
      setText(number, isHidden(page.store.state, ref) ? "?" : figure(page.model.number(ref)));
    });
    return el("li", {}, equation, number);
  }

  return {
    element,
    update({answer, edits}) {
      if (answer === null || !answer.worked) return;
      const now = JSON.stringify([answer.ref, answer.lines, edits]);
      if (now !== drawn) draw(answer);
      drawn = now;
      for (const update of updates.values()) update(answer);
      const rest = workedLines(page, answer.ref, answer.backward).length > answer.lines.length;
      setText(outcome, isAnswered(answer) ? pagePhrase(page, rest ? "more lines" : "all right") : "");
      show.disabled = !isOpen(answer);
    },
  };
}

/** Below the step: a switch that makes its lines the person's own. @param {Page} page @returns {Element | null} */
export function fadingView(page) {
  if (!page.doc.grader) return null;
  const sheet = worksheet(page, "lines-of-step");
  const place = el("p", {class: "soft"});
  const toggle = () => {
    const {state} = page.store;
    const {layer, direction, step, unit, backward} = state;
    const ref = {layer, direction, name: "", step, at: [unit]};
    page.store.change({answer: isOfStep(state) ? null : askedLines(page, ref, 1, backward)});
  };
  const opener = button(toggle, {}, pagePhrase(page, "work it out"));
  const body = el("div", {}, place, sheet.element);
  const element = el("div", {class: "fading unprinted"}, opener, body);
  page.store.show(state => {
    const isHere = isOfStep(state);
    opener.setAttribute("aria-expanded", String(isHere));
    opener.hidden = Boolean(state.answer?.worked) && !isHere; // the lines are those of a chapter
    body.hidden = !isHere;
    if (!isHere || state.answer === null) return;
    const {ref} = state.answer;
    const unit = unitWords(page.model, ref, ref.at[0]);
    setText(place, pagePhrase(page, "sheet of", {unit, step: ref.step}));
    sheet.update(state);
  });
  return element;
}

/** Whether the lines of a step are asked for below it. @param {State} state */
function isOfStep({answer}) {
  if (answer === null) return false;
  return answer.worked && answer.chapter === null;
}
