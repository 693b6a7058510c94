/** A document becomes a page: its model, its state and its views, until another one is drawn in its place. */
import {createModel} from "../engine/model.js";
import {unpacked} from "../engine/unpack.js";
import {el, setText} from "./dom.js";
import {changesView} from "./edits.js";
import {tellHeight} from "./embedded.js";
import {footView} from "./foot.js";
import {listenToKeys} from "./keys.js";
import {followLevel} from "./levels.js";
import {lossView} from "./loss.js";
import {numberView} from "./number.js";
import {followPanes} from "./panes.js";
import {pathView} from "./path.js";
import {playerView} from "./player.js";
import {followRun} from "./run_loop.js";
import {stageView} from "./stage.js";
import {followHash, startingState} from "./start.js";
import {stepView} from "./step.js";
import {createStore} from "./store.js";
import {stripView} from "./strip.js";
import {titleView} from "./title.js";
import {fadingView} from "./worksheet.js";

/** @typedef {[string, (page: Page) => Element | null][]} PlacedViews views behind the ids of their places */

/**
 * The views of every page, in the order of drawing. The step first: it asks how far it is scrolled, which costs a layout
 * of the page behind any other change.
 * @type {PlacedViews}
 */
export const VIEWS = [
  ["step", stepView],
  ["number", numberView],
  ["head", titleView],
  ["stage", stageView],
  ["loss", lossView],
  ["player", playerView],
  ["strip", stripView],
  ["path", pathView],
  ["changes", changesView],
  ["step", fadingView],
  ["foot", footView],
];

/** The place of a view. @param {string} id */
export function landmark(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no ${id}`);
  return element;
}

/** @param {unknown} error */
function failed(error) {
  console.error(error);
  const status = landmark("status"); // which has the words in the page's language, even where its data cannot be read
  setText(status, `${status.dataset.failed}: ${error instanceof Error ? error.message : error}`);
}

/**
 * Draw a document. All that it adds to the window is gone once it is closed.
 * @param {PageDocument} doc @param {PlacedViews} views @param {Lesson | null} [lesson]
 * @param {((page: Opening) => Partial<State>) | null} [part] of its first state; without it, the address says it
 * @returns {() => void} closes it
 */
export function begin(doc, views, lesson = null, part = null) {
  const model = createModel(doc);
  const {state, problem} = startingState({doc, model, lesson}, part);
  const ending = new AbortController();
  const {signal: closed} = ending;
  /** @type {Page} */
  const page = {
    doc,
    model,
    lesson,
    closed,
    store: createStore(state, failed),
    say: text => setText(landmark("live"), text),
    tell: text => setText(landmark("status"), text),
    settled: false,
    runs: 0,
  };
  page.tell(problem ?? "");
  followRun(page);
  const elements = views.flatMap(view => drawn(page, view) ?? []);
  followPanes(page);
  listenToKeys(closed);
  followLevel(page);
  followHash(page, problem);
  landmark("skip").onclick = event => {
    event.preventDefault();
    landmark("main").focus();
  };
  page.store.change({});
  return () => {
    ending.abort();
    page.store.close();
    for (const element of elements) element.remove();
  };
}

/** Draw a view in its place; one that fails leaves the others. @param {Page} page @param {PlacedViews[number]} view */
function drawn(page, [id, view]) {
  try {
    const place = landmark(id);
    const element = view(page);
    if (element !== null) place.append(element);
    return element;
  } catch (error) {
    failed(error);
    return null;
  }
}

/** @param {Partial<PageDocument> | null} doc */
function refusal(doc) {
  if (doc?.format !== "gatewise page") return "The data of this page is not gatewise's.";
  if (doc.version !== 1) return "The data of this page is of another version than its program.";
  return null;
}

/** Read the document in the page, and start with it. @param {(doc: PageDocument) => void} start */
export async function open(start) {
  tellHeight();
  try {
    const doc = JSON.parse(landmark("data").textContent ?? "");
    const why = refusal(doc);
    if (why) throw new Error(why);
    start(await unpacked(doc));
  } catch (error) {
    failed(error);
    landmark("main").append(el("p", {}, landmark("status").dataset.nothing));
  }
}
