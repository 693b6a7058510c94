/** Fields for numbers that are asked for, and what is said of them. */
import {el, setText} from "./dom.js";
import {figure} from "../engine/figures.js";
import {answerLine, giveUp, isAnswered} from "./visibility.js";
import {phrase, verdictSentences} from "../judge/verdicts.js";

/** @typedef {{element: HTMLElement, update: (answer: Answer | null) => void}} AnswerField */

/** The phrases of a page. @param {Page} page @returns {Phrases} */
function phrasesOf(page) {
  return page.doc.phrases ?? {};
}

/** What a phrase of the page is with what is put in. @param {Page} page @param {string} key
 * @param {Record<string, string | number>} [put] */
export function said(page, key, put = {}) {
  return phrase(phrasesOf(page), key, put);
}

/** Text in which quantities stand between backticks, as nodes. @param {string} text @returns {(string | HTMLElement)[]} */
export function proseNodes(text) {
  return text.split("`").map((part, n) => (n % 2 ? el("var", {}, part) : part));
}

/**
 * A field for one number.
 * @param {Page} page @param {string} name of the line @param {string} label
 * @param {{before?: () => void, begin?: () => void, compact?: boolean}} [how] what is done before it is judged, and when
 *   somebody comes to it
 * @returns {AnswerField}
 */
export function answerField(page, name, label, {before, begin, compact = false} = {}) {
  const id = `answer-${name.replace(/\W/g, "-")}${compact ? "-line" : ""}`;
  const result = el("p", {class: "verdict", id: `${id}-verdict`});
  const input = el("input", {
    id,
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": result.id,
    oninput: () => begin?.(),
  }); // passing by is no beginning
  const button = el("button", {type: "submit"}, said(page, "check"));
  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    if (!input.value.trim()) {
      setText(result, said(page, "empty"));
      page.say(said(page, "empty"));
      return input.focus();
    }
    begin?.();
    before?.();
    const verdict = answerLine(page, name, input.value);
    if (verdict) setTimeout(() => page.say(spoken(page, verdict))); // after what the other views say of the step
  }
  const element = el(
    "form",
    {class: `answer${compact ? " compact" : ""}`, onsubmit: submit},
    el("label", {for: id, class: compact ? "visually-hidden" : ""}, label),
    el("span", {class: "answer-row"}, input, button),
    result,
  );
  return {
    element,
    update(answer) {
      const verdict = answer?.judged[name];
      if (answer && document.activeElement !== input) input.value = answer.typed[name] ?? "";
      setText(result, verdictText(page, name, answer));
      result.className = `verdict ${verdict ? verdict.status : ""}`.trim();
      input.setAttribute(
        "aria-invalid",
        String(verdict ? ["wrong", "unread", "ambiguous"].includes(verdict.status) : false),
      );
    },
  };
}

/** What stands under a field. @param {Page} page @param {string} name @param {Answer | null} answer */
function verdictText(page, name, answer) {
  if (answer === null) return "";
  const verdict = answer.judged[name];
  const told = verdict ? verdictSentences(verdict, phrasesOf(page)).join(" ") : "";
  if (!answer.shown || (verdict && verdict.status !== "wrong" && verdict.status !== "unread")) return told;
  const right = page.model.number({...answer.ref, name, at: answer.ref.at});
  return [told, said(page, "shown", {right: figure(right)})].filter(Boolean).join(" ");
}

/** What is spoken of a line. @param {Page} page @param {Verdict} verdict */
function spoken(page, verdict) {
  return verdictSentences(verdict, phrasesOf(page)).join(" ");
}

/** A button that shows what is asked for, and is no more of use then. @param {Page} page @param {string} key of its phrase
 * @param {() => HTMLElement | null} onwards where the focus goes */
export function showButton(page, key, onwards) {
  return el(
    "button",
    {
      type: "button",
      onclick: () => {
        giveUp(page);
        const {answer} = page.store.state;
        const right = answer && !answer.worked ? figure(page.model.number(answer.ref)) : null;
        setTimeout(() => {
          onwards()?.focus();
          if (right !== null) page.say(said(page, "shown", {right}));
        });
      },
    },
    said(page, key),
  );
}

/** Whether a number that is asked for may still be typed. @param {Answer | null} answer */
export function isOpen(answer) {
  return answer !== null && !answer.shown && !isAnswered(answer);
}
