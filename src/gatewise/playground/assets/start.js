/** Where the page begins, and how the URL's hash follows the state and leads it. */
import {asksForLessMotion} from "./dom.js";
import {decodeHash, encodeHash, misfitOf} from "./hash.js";

/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./model.js").Model} Model */

const QUIET = 250;  // milliseconds without a change before the address is written

/** Whether a model is small enough to open at the stage, with its units under each other. @param {Model} model */
export function isSmall(model) {
  return model.layers.length === 1 && model.layers[0].cells.length === 1 && model.layers[0].cells[0].hidden === 1;
}

/** The state of the page as it was made. @param {any} doc @param {Model} model @returns {State} */
export function madeState(doc, model) {
  const last = Math.max(0, model.wiring.valid?.lastIndexOf(1) ?? model.steps - 1);
  const top = model.layers.length - 1;
  return {
    step: 0,
    layer: 0,
    direction: 0,
    unit: 0,
    quantity: "f",
    level: "overview",
    product: null,
    name: "f",
    backward: false,
    loss: model.hasHead
      ? {of: "y", layer: top + 1, direction: 0, unit: 0, step: last}
      : {of: "h", layer: top, direction: 0, unit: 0, step: last},
    chapter: doc.chapters?.length ? 0 : null,
    edits: [],
    playing: false,
    answer: null,
    sorted: Boolean(doc.sorted),
  };
}

/**
 * The state of which the hash speaks, or the page as it was made; and what is wrong with the hash.
 * @param {any} doc @param {Model} model @param {string} hash
 * @returns {{state: State, problem: string | null}}
 */
function stateOfHash(doc, model, hash) {
  const made = madeState(doc, model);
  if (hash.length < 2 || hash === "#main") return {state: made, problem: null};
  const decoded = decodeHash(hash);
  if ("problem" in decoded) return {state: made, problem: decoded.problem};
  const problem = misfitOf(decoded.state, model, Boolean(doc.sorted), doc.chapters?.length ?? 0);
  return problem ? {state: made, problem} : {state: {...made, ...decoded.state}, problem: null};
}

/** What the page opens with: the latch runs by itself, unless its reader asks for less motion. @param {any} doc
 * @param {Model} model */
export function startingState(doc, model) {
  const found = stateOfHash(doc, model, location.hash);
  const untouched = location.hash.length < 2;
  const playing = untouched && doc.example === "latch" && !asksForLessMotion();
  return {...found, state: {...found.state, playing}};
}

/** Write the state into the address once it rests, and take it from there on back and forward. @param {Page} page */
export function followHash(page) {
  const made = encodeHash(madeState(page.doc, page.model));
  let written = location.hash.slice(1);
  let seen = page.store.state;
  let timer = 0;
  function write() {
    const state = page.store.state;
    const now = encodeHash(state);
    if (now === written || (!written && now === made)) return;
    const kept = isAnotherView(state, seen);
    written = now;
    seen = state;
    try {
      history[kept ? "pushState" : "replaceState"](null, "", `#${now}`);
    } catch {
      // A page inside another one may have no address of its own; all else works without.
    }
  }
  page.store.show((state, previous) => {
    clearTimeout(timer);
    if (state !== previous && !state.playing) timer = setTimeout(write, QUIET);
  });
  addEventListener("popstate", () => {
    const hash = location.hash.slice(1);
    if (hash === "main" || hash === written) return;
    const {state, problem} = stateOfHash(page.doc, page.model, location.hash);
    written = hash;
    seen = state;
    page.store.change({...state, playing: false});
    page.tell(problem ?? "");
  });
}

/**
 * Whether a change leads to another view, which "back" leads away from; moving along the steps does not.
 * @param {State} now @param {State} before
 */
function isAnotherView(now, before) {
  /** @type {(keyof State)[]} */
  const views = ["level", "chapter", "backward", "layer", "direction", "name", "edits"];
  return views.some(key => now[key] !== before[key]);
}
