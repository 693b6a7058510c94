/** The first state of the page, and the URL's hash, which follows the state and leads it. */
import {addressed, decodeHash, eachOnce, encodeHash, misfitOf, NOWHERE, sameEdits} from "./hash.js";
import {quantitiesOf, shownQuantity} from "./quantities.js";
import {pagePhrase} from "./phrases.js";

const QUIET = 250; // milliseconds without a change before the address is written

/** The state of the page as it was made. @param {Opening} page @returns {State} */
export function originalState({doc, model, lesson}) {
  const last = Math.max(0, model.wiring.valid?.lastIndexOf(1) ?? model.steps - 1);
  const layer = model.layers.length - (model.hasHead ? 0 : 1);
  const {forget_gate: gate} = model.roles({layer: 0, direction: 0});
  const chapter = doc.chapters?.findIndex(({scene}) => scene === doc.scene) ?? -1;
  return {
    scene: doc.scene === lesson?.scenes[0].scene ? null : (doc.scene ?? null),
    step: 0,
    layer: 0,
    direction: 0,
    unit: 0,
    quantity: gate,
    level: "overview",
    product: null,
    detail: gate,
    backward: false,
    loss: {
      of: !model.hasHead ? "h" : doc.own?.includes("rate") ? "error" : "y",
      layer,
      direction: 0,
      unit: 0,
      step: last,
    },
    chapter: chapter < 0 ? null : chapter,
    begun: false,
    edits: [],
    premise: [],
    draw: 0,
    playing: false,
    answer: null,
    progress: lesson?.progress ?? "",
    sorted: Boolean(doc.sorted),
    own: {},
    logarithmic: !doc.chapters?.length,
  };
}

/**
 * The state in the hash, or the original one; and the problem with the hash.
 * @param {Opening} page @param {string} hash @returns {{state: State, problem: string | null}}
 */
function stateOfHash(page, hash) {
  const {doc, model, lesson} = page;
  const original = originalState(page);
  if (hash.length < 2 || hash === "#main") return {state: original, problem: null};
  const decoded = decodeHash(hash);
  if ("problem" in decoded) return {state: original, problem: pagePhrase(page, decoded.problem)};
  const {chapter = null, scene = null} = decoded.state;
  const isOfScene = scene === original.scene && [undefined, doc.scene].includes(doc.chapters?.[chapter ?? -1]?.scene);
  const misfit = misfitOf(decoded.state, model, Boolean(doc.sorted), doc.chapters?.length ?? 0);
  const hasLoss = decoded.state.loss?.of !== "error" || original.loss.of === "error"; // where weights are trained
  const problem = isOfScene && hasLoss ? misfit : NOWHERE;
  if (problem) return {state: original, problem: pagePhrase(page, problem)};
  const own = Object.entries({...decoded.state.own}).filter(([name]) => doc.own?.includes(name));
  const edits = decoded.state.edits && eachOnce(model, decoded.state.edits);
  const part = edits ? {...decoded.state, edits} : decoded.state;
  const state = {
    ...original,
    ...part,
    own: Object.fromEntries(own),
    progress: original.progress || (part.progress ?? ""),
    ...(chapter === null ? {} : lesson?.atChapter(page, chapter, edits)),
  };
  const {quantity} = state;
  const whole = /** @type {Page} */ (page);
  const isKnown = quantity === original.quantity || quantitiesOf(whole, state).some(({name}) => name === quantity);
  if (isKnown) return {state, problem: null};
  const {name} = shownQuantity(whole, state);
  return {state: {...state, quantity: name}, problem: pagePhrase(page, "hash.quantity", {quantity, name})};
}

/**
 * The first state.
 * @param {Opening} page @param {((page: Opening) => Partial<State>) | null} part of it; without it, it is the address's
 */
export function startingState(page, part) {
  if (part !== null) return {state: {...originalState(page), ...part(page)}, problem: null};
  return stateOfHash(page, location.hash);
}

/** Write the state into the address once it rests, and take it from there on back and forward. @param {Page} page
 * @param {string | null} problem with the address that the page was opened with */
export function followHash(page, problem) {
  const original = encodeHash(originalState(page));
  let written = location.hash.slice(1);
  let last = page.store.state;
  let timer = 0;
  function write(isCorrected = false) {
    const state = page.store.state;
    const now = encodeHash({...state, quantity: shownQuantity(page, state).name});
    if (now === written || (!written && !state.scene && now === original)) return;
    const isNew = !isCorrected && (isAnotherView(state, last) || addressed(written).scene !== state.scene);
    written = now;
    last = state;
    try {
      history[isNew ? "pushState" : "replaceState"](null, "", `#${now}`);
    } catch {
      // A page inside another one may have no address of its own; all else works without.
    }
  }
  page.store.show((state, previous) => {
    clearTimeout(timer);
    if (state !== previous && !state.playing) timer = setTimeout(() => write(), QUIET);
  });
  if (problem) write(true);
  const goBack = () => {
    const hash = location.hash.slice(1);
    if (hash === "main" || hash === written || addressed(hash).scene !== last.scene) return;
    const {state, problem} = stateOfHash(page, location.hash);
    written = hash;
    last = state;
    const {answer, edits} = page.store.state;
    const isSame = answer?.chapter === state.chapter && sameEdits(edits, state.edits); // what was typed stays
    page.store.change({...state, ...(isSame ? {answer} : {}), playing: false});
    page.tell(problem ?? "");
    if (problem) write(true);
  };
  addEventListener("popstate", goBack, {signal: page.closed});
  page.closed.addEventListener("abort", () => clearTimeout(timer));
}

/**
 * Whether a change leads to another view, which "back" leads away from; moving along the steps does not.
 * @param {State} now @param {State} before
 */
function isAnotherView(now, before) {
  /** @type {(keyof State)[]} */
  const views = ["level", "chapter", "backward", "layer", "direction", "detail", "edits"];
  return views.some(key => now[key] !== before[key]);
}
