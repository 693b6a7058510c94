/** The chapters beside the page: a few sentences, and a number to predict. What they say lies in the words of each language. */
import {button, el, reveal, setAttributes, setText} from "./dom.js";
import {answerField, isOpen, proseNodes, showButton} from "./answer_field.js";
import {
  askedRef,
  beginning,
  chaptersOf,
  drawnChapter,
  expectationOf,
  filledText,
  firstLine,
  nextDraw,
  questionOf,
} from "./chapter_start.js";
import {DEMOS} from "./demos.js";
import {sameEdits} from "./hash.js";
import {worksheet} from "./worksheet.js";
import {beginAt} from "./panes.js";
import {equationOf, substitutionOf} from "./formulas.js";
import {pagePhrase} from "./phrases.js";
import {spokenName} from "./detail.js";
import {originalState} from "./start.js";
import {isAnswered, isHeld} from "./visibility.js";

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
  let drawn = "";
  /** @type {(state: State) => void} */
  let update = () => {};

  /** @param {number} number @param {number} [draw] of its numbers */
  function open(number, draw = 0) {
    const isAgain = number === page.store.state.chapter;
    const {scene} = chapters[number];
    const isDrawn = page.lesson?.scenes.some(doc => doc === page.doc && doc.scene === scene);
    if (isDrawn) page.store.change(beginning(page, number, draw));
    else page.lesson?.enter(scene, opening => beginning(opening, number));
    const goal = `#margin ${isAgain ? "input" : "h2"}`;
    setTimeout(() => beginAt(/** @type {HTMLElement | null} */ (document.querySelector(goal)), !isAgain));
  }

  page.store.show(state => {
    const {chapter, draw} = state;
    if (page.lesson) page.lesson.progress = state.progress;
    reveal(element, chapter !== null && chapters.length > 0);
    if (chapter === null || !chapters[chapter]) {
      if (state.answer !== null && state.answer.chapter !== null) page.store.change({answer: null});
      drawn = "";
      return;
    }
    if (drawn !== `${chapter} ${draw}`) {
      const view = drawChapter(page, chapter, open);
      body.replaceChildren(...view.nodes);
      update = view.update;
      drawn = `${chapter} ${draw}`;
    }
    const progress = progressOf(state);
    if (progress !== state.progress) page.store.change({progress});
    mark({...state, progress});
    const isAsked = isOpen(state.answer) && state.answer?.chapter === chapter;
    if (isAsked && !isSupposed(chapters[chapter], state)) page.store.change({answer: null});
    const asks = chapters[chapter].ask.lines && state.answer?.chapter !== chapter;
    if (asks) page.store.change({answer: questionOf(page, chapter, draw)});
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

/** @param {Page} page @param {number} number @param {(number: number, draw?: number) => void} open */
function drawChapter(page, number, open) {
  const chapters = chaptersOf(page);
  const {title, text, question, ask, focus, edits, draws, demo} = drawnChapter(page, number, page.store.state.draw);
  const closing = el("div", {class: "learned"});
  const askAgain = () => {
    const {state} = page.store;
    open(number, isSupposed(chapters[number], state) ? nextDraw(page, number) : state.draw);
  };
  const again = button(askAgain, {});
  const isLast = number + 1 === chapters.length;
  const next = isLast ? null : button(() => open(number + 1), {}, pagePhrase(page, "next"));
  const show = showButton(page, "show", () => next ?? again);
  const hints = hintsView(page, number);
  const field = ask.lines ? worksheet(page, "lines-of-chapter") : oneField(page, number);
  const elsewhere = el("p", {}, pagePhrase(page, "elsewhere"));
  const prose = (/** @type {string} */ one) => proseNodes(page, filledText(page, number, one));
  const asked = el("p", {class: "question"}, ...prose(question));
  const controls = el("p", {class: "controls"}, hints.button, ask.lines ? null : show, again, next);
  const asking = el("div", {class: "asking"}, asked, field.element, hints.element, controls);
  const picture = demo ? DEMOS[demo]?.(page) : null;
  const lesson = el("div", {class: "lesson"}, ...text.map(one => el("p", {}, ...prose(one))), picture);
  return {
    nodes: [
      el("p", {class: "soft count"}, pagePhrase(page, "chapter", {number: number + 1, count: chapters.length})),
      el("h2", {tabindex: "-1"}, title),
      elsewhere,
      lesson,
      asking,
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
      show.hidden = !isHere;
      hints.update(state, isHere && !isSettled);
      next?.classList.toggle("primary", isSettled);
      again.classList.toggle("primary", !isHere && !isSettled);
      setText(again, pagePhrase(page, !isHere ? "start" : ask.lines ? "another cell" : "again"));
      closing.replaceChildren(...(isSettled && next === null ? lessonLearned(page, state) : []));
      show.disabled = !isOpen(answer);
      again.disabled = isHere && !ask.lines && !isSettled;
      again.hidden = isHere && !draws?.length && edits !== "drawn"; // it has one answer
    },
  };
}

/**
 * The hints of a chapter, one more at each press: where to look, the formula with names, the formula with numbers. They
 * are the chapter's own; the formulas are else those of the line that comes first.
 * @param {Page} page @param {number} number
 */
function hintsView(page, number) {
  const own = chaptersOf(page)[number].hints ?? [];
  const list = el("ol", {class: "hints", "aria-live": "polite"});
  let lead = "";
  /** The line that the hints are of. @param {Answer | null} answer */
  const lineOf = answer => {
    const name = answer?.worked && answer.lines.find(one => !isHeld(answer.judged[one]));
    return name && answer ? {...answer.ref, name} : firstLine(page, number);
  };
  /** @returns {Child[][]} */
  function all() {
    const prose = own.map(one => proseNodes(page, filledText(page, number, one)));
    if (own.length > 1) return prose;
    const ref = lineOf(page.store.state.answer);
    return [...prose, [equationOf(page, ref)], [substitutionOf(page, ref, ref.at[0], false)]];
  }
  const press = () => {
    const hints = all();
    const next = hints[list.childElementCount];
    if (next) list.append(el("li", {}, ...next));
    write(hints.length);
  };
  const opener = button(press, {});
  /** @param {number} count */
  function write(count) {
    const shown = list.childElementCount;
    setText(opener, pagePhrase(page, "hint", {number: Math.min(shown + 1, count), count}));
    opener.disabled = shown === count;
  }
  return {
    element: list,
    button: opener,
    /** @param {State} state @param {boolean} isOpen */
    update({answer}, isOpen) {
      const now = answer?.worked ? `${lineOf(answer).name} ${answer.lines.length}` : "";
      if (!isOpen || now !== lead) list.replaceChildren();
      lead = now;
      opener.hidden = !isOpen;
      write(own.length > 1 ? own.length : own.length + 2);
    },
  };
}

/** What was seen in the chapters that were answered or shown, and which are left. @param {Page} page @param {State} state */
function lessonLearned(page, {progress}) {
  const chapters = chaptersOf(page);
  const seen = chapters.filter((_, n) => /[rs]/.test(progress[n] ?? ""));
  const ideas = seen.flatMap(({learned}) => (learned ? [el("li", {}, ...proseNodes(page, learned))] : []));
  const count = (/** @type {string} */ mark) => progress.split(mark).length - 1;
  const left = chapters.flatMap((one, n) => (seen.includes(one) ? [] : [n + 1])).join(", ");
  const put = {right: count("r"), shown: count("s"), count: chapters.length};
  const score = pagePhrase(page, "score", put) + (left && ` ${pagePhrase(page, "still open", {left})}`);
  return [el("h3", {}, pagePhrase(page, "learned")), el("ul", {}, ...ideas), el("p", {class: "soft"}, score)];
}

/** The field of a chapter that asks for one number. @param {Page} page @param {number} number */
function oneField(page, number) {
  const chapter = chaptersOf(page)[number];
  const {store, model} = page;
  const ref = askedRef(chapter.ask);
  /** @type {string | null} */
  let said = null;
  const after = () => {
    said ??= filledText(page, number, chapter.after);
    return said;
  };
  /** Begin the chapter as soon as somebody types: hide its number, and make the edits that it supposes. */
  const begin = () => {
    if (store.state.answer?.chapter !== number) store.change(beginning(page, number, store.state.draw));
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
  const field = answerField(page, ref.name, label, {begin, expect, after});
  return {
    element: field.element,
    /** @param {State} state */
    update: state => field.update(state.answer?.chapter === number ? state.answer : null),
  };
}
