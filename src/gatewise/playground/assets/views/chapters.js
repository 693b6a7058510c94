/** The chapters beside the page: a few sentences, and a number to predict. What they say lies in the words of each language. */
import {button, el, reveal, setAttributes, setText} from "./dom.js";
import {answerField, isOpen, proseNodes, showButton} from "./answer_field.js";
import {askedRef, beginning, chaptersOf, expectationOf, firstLine, questionOf} from "./chapter_start.js";
import {sameEdits} from "./hash.js";
import {worksheet} from "./worksheet.js";
import {equationOf, substitutionOf} from "./formulas.js";
import {pagePhrase} from "./phrases.js";
import {spokenName} from "./detail.js";
import {originalState} from "./start.js";
import {isAnswered} from "./visibility.js";

const MARKS = {r: "answered", s: "given up", "-": null};

/** The chapter that stands open, beside the page. @param {Page} page @returns {Element} */
export function chaptersView(page) {
  const chapters = chaptersOf(page);
  const list = el("ol", {});
  const body = el("div", {class: "chapter"});
  const element = el("div", {class: "chapters"}, el("nav", {"aria-label": pagePhrase(page, "chapters")}, list), body);
  const marks = chapters.map(() => el("span", {class: "visually-hidden"}));
  const buttons = chapters.map(({title}, n) =>
    button(
      () => open(n),
      {},
      el("span", {"aria-hidden": "true"}, n + 1),
      el("span", {class: "visually-hidden"}, pagePhrase(page, "open chapter", {number: n + 1, title})),
      marks[n],
    ),
  );
  /** Show which chapter is open, and which were answered. @param {State} state */
  function mark({chapter, progress}) {
    buttons.forEach((opener, n) => {
      setAttributes(opener, {"aria-current": n === chapter && "step", "data-progress": progress[n]});
      const key = MARKS[/** @type {keyof typeof MARKS} */ (progress[n])];
      setText(marks[n], key ? `, ${pagePhrase(page, key)}` : "");
    });
  }
  list.append(...buttons.map(opener => el("li", {}, opener)));
  /** @type {number | null} */
  let drawn = null;
  /** @type {(state: State) => void} */
  let update = () => {};

  /** @param {number} number */
  function open(number) {
    const isAgain = number === drawn;
    const {scene} = chapters[number];
    const isDrawn = page.lesson?.scenes.some(doc => doc === page.doc && doc.scene === scene);
    if (isDrawn) page.store.change(beginning(page, number));
    else page.lesson?.enter(scene, opening => beginning(opening, number));
    const goal = `#margin ${isAgain ? "input" : "h2"}`;
    setTimeout(() => /** @type {HTMLElement | null} */ (document.querySelector(goal))?.focus());
  }

  page.store.show(state => {
    const {chapter} = state;
    if (page.lesson) page.lesson.progress = state.progress;
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
    }
    const progress = progressOf(state);
    if (progress !== state.progress) page.store.change({progress});
    mark({...state, progress});
    const isAsked = isOpen(state.answer) && state.answer?.chapter === chapter;
    if (isAsked && !isSupposed(chapters[chapter], state)) page.store.change({answer: null});
    const asks = chapters[chapter].ask.lines && state.answer?.chapter !== chapter;
    if (asks) page.store.change({answer: questionOf(page, chapter)});
    update(state);
  });
  return element;
}

/** Whether the scene's own settings are as a chapter supposes. @param {Chapter} chapter @param {State} state */
function isSupposed({focus}, {own}) {
  const supposed = focus.own ?? own;
  return Object.keys({...own, ...supposed}).every(name => own[name] === supposed[name]);
}

/** The progress once the open chapter's answer counts: a right one stays right. @param {State} state */
function progressOf({progress, answer, chapter}) {
  if (answer === null || chapter === null || answer.chapter !== chapter || progress[chapter] === "r") return progress;
  const mark = isAnswered(answer) ? "r" : answer.shown ? "s" : "-";
  return mark === "-" ? progress : progress.padEnd(chapter, "-").slice(0, chapter) + mark + progress.slice(chapter + 1);
}

/** @param {Page} page @param {number} number @param {(number: number) => void} open */
function drawChapter(page, number, open) {
  const chapters = chaptersOf(page);
  const {title, text, question, ask, right, focus} = chapters[number];
  const closing = el("div", {class: "learned"});
  const again = button(() => open(number), {});
  const isLast = number + 1 === chapters.length;
  const next = isLast ? null : button(() => open(number + 1), {}, pagePhrase(page, "next"));
  const show = showButton(page, "show", () => next ?? again);
  const showLine = () => line.replaceChildren(...lineWithoutValue(page, firstLine(page, number)));
  const hint = button(showLine, {}, pagePhrase(page, "hint"));
  const line = el("p", {class: "equation", "aria-live": "polite"});
  const field = ask.lines ? worksheet(page, "lines-of-chapter") : oneField(page, number);
  const elsewhere = el("p", {}, pagePhrase(page, "elsewhere"));
  const asked = el("p", {class: "question"}, ...proseNodes(page, question));
  const lesson = el("div", {}, ...text.map(one => el("p", {}, ...proseNodes(page, one))), asked, field.element, line);
  return {
    nodes: [
      el("p", {class: "soft count"}, pagePhrase(page, "chapter", {number: number + 1, count: chapters.length})),
      el("h2", {tabindex: "-1"}, title),
      elsewhere,
      lesson,
      el("p", {class: "controls"}, ask.lines ? null : hint, ask.lines ? null : show, again, next),
      closing,
    ],
    /** @param {State} state */
    update(state) {
      const answer = state.answer?.chapter === number ? state.answer : null;
      field.update(answer === null && ask.lines ? {...state, answer: null} : state);
      const isHere = isSupposed(chapters[number], state);
      elsewhere.hidden = isHere;
      lesson.hidden = !isHere && !state.begun;
      if (isHere && !state.begun && focus.own) page.store.change({begun: true});
      const isSettled = answer !== null && (answer.shown || isAnswered(answer));
      asked.hidden = field.element.hidden = !isHere && !isSettled;
      const isWrong = ["wrong", "expected"].includes(answer?.judged[ask.name ?? ""]?.status ?? "");
      show.hidden = !isHere;
      hint.hidden = right !== undefined || !isOpen(answer) || !isWrong;
      if (hint.hidden) line.replaceChildren();
      next?.classList.toggle("primary", isSettled);
      again.classList.toggle("primary", !isHere && !isSettled);
      setText(again, pagePhrase(page, !isHere ? "start" : ask.lines ? "another cell" : "again"));
      closing.replaceChildren(...(isSettled && next === null ? lessonLearned(page, state) : []));
      show.disabled = !isOpen(answer);
      again.disabled = isHere && !ask.lines && !isSettled;
    },
  };
}

/** A line of a step with its numbers, but for its value. @param {Page} page @param {Ref} ref */
function lineWithoutValue(page, ref) {
  const lead = el("span", {class: "soft"}, ...proseNodes(page, `${spokenName(page, ref)}:`));
  return [lead, el("br"), equationOf(page, ref), el("br"), substitutionOf(page, ref, ref.at[0], false)];
}

/** What was seen in the chapters that were answered or shown, and which are left. @param {Page} page @param {State} state */
function lessonLearned(page, {progress}) {
  const chapters = chaptersOf(page);
  const seen = chapters.filter((_, n) => /[rs]/.test(progress[n] ?? ""));
  const ideas = seen.flatMap(({learned}) => (learned ? [el("li", {}, ...proseNodes(page, learned))] : []));
  const count = (/** @type {string} */ mark) => progress.split(mark).length - 1;
  const left = chapters.flatMap((one, n) => (seen.includes(one) ? [] : [n + 1])).join(", ") || 0;
  const put = {right: count("r"), shown: count("s"), count: chapters.length, left};
  const score = pagePhrase(page, "score", put);
  return [el("h3", {}, pagePhrase(page, "learned")), el("ul", {}, ...ideas), el("p", {class: "soft"}, score)];
}

/** The field of a chapter that asks for one number. @param {Page} page @param {number} number */
function oneField(page, number) {
  const chapter = chaptersOf(page)[number];
  const {store, model} = page;
  const ref = askedRef(chapter.ask);
  /** Begin the chapter as soon as somebody types: hide its number, and make the edits that it supposes. */
  const begin = () => {
    if (store.state.answer?.chapter !== number) store.change(beginning(page, number));
  };
  /** Undo later changes: the question supposes nothing else. */
  const expect = () => {
    const {edits, premise} = store.state;
    const {loss} = originalState(page);
    model.setLoss(loss);
    store.change({loss, ...(sameEdits(edits, premise) ? {} : {edits: premise})});
    return expectationOf(page, number);
  };
  const key = chapter.right === undefined ? "field" : chapter.scene === "reader" ? "reader.unit" : "training.result";
  const label = pagePhrase(page, key, {name: spokenName(page, ref)});
  const field = answerField(page, ref.name, label, {begin, expect, after: chapter.after});
  return {
    element: field.element,
    /** @param {State} state */
    update: state => field.update(state.answer?.chapter === number ? state.answer : null),
  };
}
