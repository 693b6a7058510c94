/** The chapters beside the page: a few sentences, and a number to predict. What they say lies in the words of each language. */
import {el, reveal, setText} from "./dom.js";
import {answerField, isOpen, proseNodes, showButton} from "./answer_field.js";
import {beginning, chaptersOf, questionOf} from "./chapter_start.js";
import {sameEdits} from "./hash.js";
import {worksheet} from "./worksheet.js";
import {pagePhrase} from "./phrases.js";
import {spokenName} from "./detail.js";
import {isAnswered} from "./visibility.js";

/** The chapter that stands open, beside the page. @param {Page} page @returns {Element} */
export function chaptersView(page) {
  const chapters = chaptersOf(page);
  const list = el("ol", {});
  const body = el("div", {class: "chapter"});
  const element = el("div", {class: "chapters"}, el("nav", {"aria-label": pagePhrase(page, "chapters")}, list), body);
  const buttons = chapters.map(({title}, n) =>
    el(
      "button",
      {type: "button", onclick: () => open(n)},
      el("span", {"aria-hidden": "true"}, n + 1),
      el("span", {class: "visually-hidden"}, pagePhrase(page, "open chapter", {number: n + 1, title})),
    ),
  );
  list.append(...buttons.map(button => el("li", {}, button)));
  /** @type {number | null} */
  let drawn = null;
  /** @type {(state: State) => void} */
  let update = () => {};

  /** @param {number} number */
  function open(number) {
    const isAgain = number === drawn;
    const {scene} = chapters[number];
    if (scene === page.doc.scene) page.store.change(beginning(page, number));
    else page.lesson?.enter(scene, opening => beginning(opening, number));
    const goal = `#margin ${isAgain ? "input" : "h2"}`;
    setTimeout(() => /** @type {HTMLElement | null} */ (document.querySelector(goal))?.focus());
  }

  page.store.show(state => {
    const {chapter} = state;
    reveal(element, chapter !== null && chapters.length > 0);
    if (chapter === null || !chapters[chapter]) {
      if (state.answer !== null && state.answer.chapter !== null) page.store.change({answer: null});
      drawn = null;
      return;
    }
    if (chapter !== drawn) {
      const view = drawChapter(page, chapter, open);
      body.replaceChildren(...view.nodes);
      update = view.update;
      drawn = chapter;
      buttons.forEach((button, n) => {
        if (n === chapter) button.setAttribute("aria-current", "step");
        else button.removeAttribute("aria-current");
      });
    }
    const asks = chapters[chapter].ask.lines && state.answer?.chapter !== chapter;
    if (asks) page.store.change({answer: questionOf(page, chapter)});
    update(state);
  });
  return element;
}

/** @param {Page} page @param {number} number @param {(number: number) => void} open */
function drawChapter(page, number, open) {
  const chapters = chaptersOf(page);
  const {title, text, question, after, ask} = chapters[number];
  const closing = el("p", {class: "after"});
  const again = el(
    "button",
    {type: "button", onclick: () => open(number)},
    pagePhrase(page, ask.lines ? "another cell" : "again"),
  );
  const next =
    number + 1 < chapters.length
      ? el("button", {type: "button", onclick: () => open(number + 1)}, pagePhrase(page, "next"))
      : null;
  const show = showButton(page, "show", () => next ?? again);
  const field = ask.lines ? worksheet(page, "lines-of-chapter") : oneField(page, number);
  return {
    nodes: [
      el("p", {class: "soft count"}, pagePhrase(page, "chapter", {number: number + 1, count: chapters.length})),
      el("h2", {tabindex: "-1"}, title),
      ...text.map(paragraph => el("p", {}, ...proseNodes(paragraph))),
      el("p", {class: "question"}, ...proseNodes(question)),
      field.element,
      closing,
      el("p", {class: "controls"}, ask.lines ? null : show, again, next),
    ],
    /** @param {State} state */
    update(state) {
      const answer = state.answer?.chapter === number ? state.answer : null;
      field.update(answer === null && ask.lines ? {...state, answer: null} : state);
      const isSettled = answer !== null && (answer.shown || isAnswered(answer));
      if (isSettled && after) closing.replaceChildren(...proseNodes(after));
      else setText(closing, "");
      show.disabled = !isOpen(answer);
      again.disabled = !ask.lines && !isSettled;
    },
  };
}

/** The field of a chapter that asks for one number. @param {Page} page @param {number} number */
function oneField(page, number) {
  const chapter = chaptersOf(page)[number];
  const {store, model} = page;
  const ref = /** @type {Ref} */ ({
    layer: 0,
    direction: 0,
    name: chapter.ask.name,
    step: chapter.ask.step,
    at: chapter.ask.at,
  });
  /** Begin the chapter as soon as somebody types: hide its number, and make the edits that it supposes. */
  const begin = () => {
    if (store.state.answer?.chapter !== number) store.change(beginning(page, number));
  };
  /** Undo later changes: the question supposes nothing else. */
  const before = () => {
    const {edits, premise} = store.state;
    if (sameEdits(edits, premise)) return;
    model.edit(premise);
    store.change({edits: premise});
  };
  const field = answerField(
    page,
    /** @type {string} */ (chapter.ask.name),
    pagePhrase(page, "field", {name: spokenName(page, ref)}),
    {begin, before},
  );
  return {
    element: field.element,
    /** @param {State} state */
    update: state => field.update(state.answer?.chapter === number ? state.answer : null),
  };
}
