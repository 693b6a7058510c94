/** How far the effect of a changed input travels: a line along time, and a sentence. */
import {el} from "./dom.js";
import {figure} from "./figures.js";
import {givenOf} from "./opened.js";
import {timeline} from "./timeline.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").Edit} Edit */

const FAINT = 0.01;

/** The effect of an edit of a step's input or of the first state on h, along time; null for other edits.
 * @param {Page} page @param {Edit} edit */
export function reachFigure(page, edit) {
  const {model, store: {state}} = page;
  const {ref} = edit;
  if (ref.step === null || model.steps < 2 || givenOf(model, ref.layer, ref.direction, ref.name)?.kind === "parameter") return null;
  const found = reachIn(page, edit);
  if (!found) return null;
  const sentence = reachSentence(found, ref.step);
  const largest = Math.max(0, ...found.filter(Number.isFinite));
  return el("span", {class: "reach"}, timeline({values: found, largest, step: state.step, kind: "effect", label: `The effect on h at each step. ${sentence}`}),
    el("span", {class: "soft"}, sentence));
}

/** @param {Page} page @param {Edit} edit @returns {Float64Array | null} */
function reachIn(page, edit) {
  const {model, store: {state}} = page;
  const all = /** @type {any} */ (model.reach(edit));
  return all?.[state.layer]?.[state.direction] ?? null;
}

/** How far an effect goes, in a sentence. @param {Float64Array} sizes @param {number} step where the change is */
export function reachSentence(sizes, step) {
  const largest = Math.max(0, ...sizes.filter(Number.isFinite));
  if (!(largest > 0)) return "It has no effect on h here.";
  let last = 0;
  sizes.forEach((size, at) => {
    if (size >= FAINT * largest && Math.abs(at - step) >= last) last = Math.abs(at - step);
  });
  const most = `The largest change of h is ${figure(largest, 4)}`;
  const end = Math.max(step, sizes.length - 1 - step);
  if (last >= end) return `${most}; the effect lasts to the end of the run.`;
  if (last === 0) return `${most}, at this step; one step on, the effect is below 1 % of it.`;
  return `${most}; after ${last} ${last === 1 ? "step" : "steps"} the effect is below 1 % of it.`;
}
