/** Fields for numbers that are asked for, and the verdicts on them. */
import {button, el, numberField, setChildren, setText} from "./dom.js";
import {typeset} from "./detail.js";
import {figure} from "../engine/figures.js";
import {answerLine, giveUp, isAnswered, isHeld} from "./visibility.js";
import {pagePhrase} from "./phrases.js";
import {verdictSentence} from "../judge/verdicts.js";

/** @typedef {{element: HTMLElement, update: (answer: Answer | null) => void}} AnswerField */

/** Text in which quantities stand between backticks, as nodes. @param {Page} page @param {string} text @returns {Child[]} */
export function proseNodes(page, text) {
  const parts = text.split("`").map(part => typeset(page, page.store.state, part));
  return parts.flatMap((nodes, n) => (n % 2 ? el("var", {}, ...nodes) : nodes));
}

/**
 * A field for one number.
 * @param {Page} page @param {string} name of the line @param {string} label
 * @param {{expect?: () => Expectation | null, begin?: () => void, compact?: boolean, after?: () => string}} [options] called
 *   before it is judged, and when somebody comes to it; what is said once it is known
 * @returns {AnswerField}
 */
export function answerField(page, name, label, {expect, begin, compact = false, after = () => ""} = {}) {
  const id = `answer-${name.replace(/\W/g, "-")}${compact ? "-line" : ""}`;
  const result = el("p", {class: "verdict", id: `${id}-verdict`});
  const input = numberField({
    id,
    placeholder: " ", // without which no style knows that it is empty
    "aria-describedby": result.id,
    oninput: () => begin?.(),
  }); // passing by is no beginning
  let drawn = "";
  const check = el("button", {type: "submit"}, pagePhrase(page, "check"));
  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    if (!input.value.trim()) {
      setText(result, pagePhrase(page, "empty"));
      page.say(pagePhrase(page, "empty"));
      return input.focus();
    }
    begin?.();
    answerLine(page, name, input.value, expect?.());
    // After what the other views say of the step.
    setTimeout(() => page.say(verdictText(page, name, page.store.state.answer, after).replaceAll("`", "")));
  }
  const element = el(
    "form",
    {class: `answer${compact ? " compact" : ""}`, onsubmit: submit},
    el("label", {for: id, class: compact ? "visually-hidden" : ""}, ...proseNodes(page, label)),
    el("span", {class: "answer-row"}, input, check),
    result,
  );
  return {
    element,
    update(answer) {
      const verdict = answer?.judged[name];
      if (answer && document.activeElement !== input) input.value = answer.typed[name] ?? "";
      const text = verdictText(page, name, answer, after);
      if (text !== drawn) setChildren(result, ...proseNodes(page, text));
      drawn = text;
      check.classList.toggle("primary", !compact && !isHeld(verdict) && !answer?.shown);
      result.className = `verdict ${verdict ? verdict.status : ""}`.trim();
      input.setAttribute(
        "aria-invalid",
        String(verdict ? ["wrong", "expected", "unread", "ambiguous"].includes(verdict.status) : false),
      );
    },
  };
}

/** The text under a field. @param {Page} page @param {string} name @param {Answer | null} answer
 * @param {() => string} after */
function verdictText(page, name, answer, after) {
  if (answer === null) return "";
  const verdict = answer.judged[name];
  const isGivenUp = answer.shown && !isHeld(verdict);
  const sentences = [verdict && !isGivenUp ? verdictSentence(verdict, page.doc.phrases.lesson) : ""];
  if (isGivenUp) {
    const right = figure(answer.right ?? page.model.number({...answer.ref, name, at: answer.ref.at}));
    sentences.push(pagePhrase(page, "shown", {right}));
  }
  if (answer.shown || isHeld(verdict)) sentences.push(after());
  return sentences.filter(Boolean).join(" ");
}

/** A button that shows the numbers that are asked for. @param {Page} page @param {string} key of its phrase
 * @param {() => HTMLElement | null} onwards where the focus goes */
export function showButton(page, key, onwards) {
  const show = () => {
    giveUp(page);
    const {answer} = page.store.state;
    const right = answer && !answer.worked ? figure(answer.right ?? page.model.number(answer.ref)) : null;
    setTimeout(() => {
      onwards()?.focus();
      if (right !== null) page.say(pagePhrase(page, "shown", {right}));
    });
  };
  return button(show, {}, pagePhrase(page, key));
}

/** Whether a number that is asked for may still be typed. @param {Answer | null} answer */
export function isOpen(answer) {
  return answer !== null && !answer.shown && !isAnswered(answer);
}
