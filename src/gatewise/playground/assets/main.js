/** The page begins here: the only module that does something when it is read. */
import {createModel} from "./engine/model.js";
import {el, setText} from "./views/dom.js";
import {createStore} from "./views/store.js";
import {unpacked} from "./engine/unpack.js";
import {followHash, startingState} from "./views/start.js";
import {listenToKeys} from "./views/keys.js";
import {followLevel} from "./views/levels.js";
import {followRun} from "./views/run_loop.js";
import {titleView} from "./views/title.js";
import {stageView} from "./views/stage.js";
import {stripView} from "./views/strip.js";
import {changesView} from "./views/edits.js";
import {lossView} from "./views/loss.js";
import {stepView} from "./views/step.js";
import {numberView} from "./views/number.js";
import {chaptersView} from "./views/chapters.js";
import {footView} from "./views/foot.js";

/**
 * The views and their places, in the order of drawing. The step first: it asks how far it is scrolled, which costs a layout
 * of the page behind any other change.
 * @type {[string, (page: Page) => Element][]}
 */
const VIEWS = [
  ["step", stepView],
  ["number", numberView],
  ["head", titleView],
  ["stage", stageView],
  ["loss", lossView],
  ["strip", stripView],
  ["changes", changesView],
  ["margin", chaptersView],
  ["foot", footView],
];

/** @param {string} id */
function landmark(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no ${id}`);
  return element;
}

/** @param {unknown} error */
function failed(error) {
  console.error(error);
  setText(landmark("status"), `Something on this page failed: ${error instanceof Error ? error.message : error}`);
}

/** @param {PageDocument} doc */
function begin(doc) {
  const model = createModel(doc);
  const {state, problem} = startingState(doc, model);
  /** @type {Page} */
  const page = {
    doc,
    model,
    store: createStore(state, failed),
    say: text => setText(landmark("live"), text),
    tell: text => setText(landmark("status"), text),
    settled: false,
    runs: 0,
  };
  followRun(page);
  for (const [id, view] of VIEWS) {
    try {
      const place = landmark(id);
      place.append(view(page));
    } catch (error) {
      failed(error);
    }
  }
  page.store.show(({chapter}) => landmark("main").classList.toggle("with-margin", chapter !== null));
  listenToKeys();
  followLevel(page);
  followHash(page, problem);
  landmark("skip").addEventListener("click", event => {
    event.preventDefault();
    landmark("main").focus();
  });
  if (problem) page.tell(problem);
  page.store.change({});
}

/** @param {Partial<PageDocument> | null} doc */
function refusal(doc) {
  if (doc?.format !== "gatewise page") return "The data of this page is not gatewise's.";
  if (doc.version !== 1) return "The data of this page is of another version than its program.";
  return null;
}

try {
  const doc = JSON.parse(landmark("data").textContent ?? "");
  const why = refusal(doc);
  if (why) throw new Error(why);
  begin(await unpacked(doc));
} catch (error) {
  failed(error);
  landmark("main").append(el("p", {}, "Nothing can be shown of it."));
}
