/** The influence of a changed input: a line along time, and a sentence. */
import {largestSize} from "../engine/arrays.js";
import {el} from "./dom.js";
import {figure} from "../engine/figures.js";
import {memoised} from "../engine/memo.js";
import {symbolElement} from "./detail.js";
import {isAnswered} from "./visibility.js";
import {timeline} from "./timeline.js";
import {pagePhrase, phraseNodes} from "./phrases.js";

const FAINT = 0.01;

/** The effect of what is changed at single steps on h, along time; null where a weight is changed: that acts everywhere.
 * @param {Page} page */
export function influenceFigure(page) {
  const {model, store} = page;
  const {answer, edits, layer, direction, step} = store.state;
  const place = {layer, direction};
  const steps = edits.flatMap(({ref}) => ref.step ?? []);
  if (answer !== null && !answer.shown && !isAnswered(answer)) return null;
  if (!edits.length || model.steps < 2 || steps.length < edits.length) return null;
  if (!page.settled) return el("p", {class: "reach soft"}, pagePhrase(page, "loss.computing"));
  const sizes = memoised(page, "influence", [page.runs], () => model.influence())[layer][direction];
  const largest = largestSize(sizes);
  const first = model.cell(place).direction === "backward" ? Math.max(...steps) : Math.min(...steps);
  const sentence = influenceSentence(page, sizes, first, largest);
  const label = pagePhrase(page, "influence.label", {sentence});
  const choose = (/** @type {number} */ to) => store.change({step: to, playing: false});
  const state = model.quantity({...place, name: model.roles(place).hidden_state});
  return el(
    "div",
    {class: "reach"},
    el("span", {class: "lane-name"}, ...phraseNodes(page, "influence.change", {symbol: symbolElement(state)})),
    timeline({values: sizes, largest, step, kind: "effect", label, choose}),
    el("p", {}, sentence),
  );
}

/** The end of an effect, in a sentence. @param {Pick<Page, "doc">} page @param {Float64Array} sizes
 * @param {number} step of the change @param {number} [largest] of the sizes */
export function influenceSentence(page, sizes, step, largest = largestSize(sizes)) {
  if (!(largest > 0)) return pagePhrase(page, "influence.none");
  let last = 0;
  sizes.forEach((size, at) => {
    if (size >= FAINT * largest) last = Math.max(last, Math.abs(at - step));
  });
  const end = Math.max(step, sizes.length - 1 - step);
  const few = last === 0 ? "influence.at once" : last === 1 ? "influence.one step" : "influence.steps";
  return pagePhrase(page, last >= end ? "influence.to the end" : few, {largest: figure(largest, 4), steps: last});
}
