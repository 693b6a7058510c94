/** How far the effect of a changed input travels: a line along time, and a sentence. */
import {largestSize} from "../engine/arrays.js";
import {el} from "./dom.js";
import {figure} from "../engine/figures.js";
import {lastMade} from "../engine/memo.js";
import {symbolElement} from "./detail.js";
import {isAnswered} from "./visibility.js";
import {timeline} from "./timeline.js";

/** @typedef {import("./store.js").Page} Page */

const FAINT = 0.01;
/** @type {WeakMap<Page, {of: unknown[], made: Float64Array[][]}>} */
const reachKept = new WeakMap();

/** The effect of what is changed at single steps on h, along time; null where a weight is changed: that acts everywhere.
 * @param {Page} page */
export function reachFigure(page) {
  const {
    model,
    store: {state},
  } = page;
  const {edits} = state;
  const steps = edits.map(({ref}) => ref.step ?? -1);
  if (state.answer !== null && !state.answer.shown && !isAnswered(state.answer)) return null;
  if (!edits.length || model.steps < 2 || steps.includes(-1)) return null;
  if (!page.settled) return el("p", {class: "reach soft"}, "How far the effect travels is being computed.");
  const {layer, direction} = state;
  const sizes = lastMade(reachKept, page, [page.runs], () => model.reach())[layer][direction];
  const backward = model.layers[layer].cells[direction].direction === "backward";
  const largest = largestSize(sizes);
  const sentence = reachSentence(sizes, backward ? Math.max(...steps) : Math.min(...steps), largest);
  const label = `The size of the change of h at each step. ${sentence}`;
  const choose = (/** @type {number} */ step) => page.store.change({step, playing: false});
  return el(
    "div",
    {class: "reach"},
    el("span", {class: "lane-name"}, "change of ", symbolElement("h")),
    timeline({values: sizes, largest, step: state.step, kind: "effect", label, choose}),
    el("p", {}, sentence),
  );
}

/** How far an effect goes, in a sentence. @param {Float64Array} sizes @param {number} step where the change is
 * @param {number} [largest] of the sizes */
export function reachSentence(sizes, step, largest = largestSize(sizes)) {
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
