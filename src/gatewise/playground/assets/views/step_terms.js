/** The gradient of a weight as the sum over steps that it is: each step's term, the largest first. */
import {largestSize} from "../engine/arrays.js";
import {el} from "./dom.js";
import {figure} from "../engine/figures.js";
import {memoised} from "../engine/memo.js";
import {openNumber, refKey} from "./detail.js";
import {stepName} from "./quantities.js";
import {largestFirst, sumList} from "./sum_list.js";
import {termsOf} from "../engine/terms.js";
import {timeline} from "./timeline.js";
import {pagePhrase} from "./phrases.js";

const MOST_TERMS = 1000; // when all are asked for

/** The gradient of a weight as the sum over steps that it is.
 * @param {Page} page @param {Ref} ref @param {Set<string>} opened @param {() => void} redraw */
export function overSteps(page, ref, opened, redraw) {
  const {model, store} = page;
  const inHead = model.isHead(ref);
  const readsOnce = inHead && model.readsLast;
  const {values, order} = sortedTerms(page, ref, inHead, readsOnce);
  const choose = (/** @type {number} */ step) => store.change({step, playing: false});
  /** @param {number} step */
  const row = step => ({
    name: [readsOnce ? pagePhrase(page, "terms.last states") : stepName(page, step)],
    factors: factorsAt(page, ref, step),
    press: () => openTerm(page, ref, step),
  });
  const [most = 0] = order;
  const greatest = {value: figure(values[most], 4), step: stepName(page, most)};
  const label = pagePhrase(page, "terms.label", {name: ref.name, ...greatest});
  const largest = largestSize(values);
  return sumList(
    page,
    ref,
    {kind: "term", values, order: opened.has("term") ? order.slice(0, MOST_TERMS) : order},
    opened,
    redraw,
    row,
    readsOnce ? null : el("h3", {}, pagePhrase(page, "terms.title")),
    values.length > 1 ? timeline({values, largest, step: store.state.step, kind: "gradient", choose, label}) : null,
  );
}

/** The terms of all steps, and the steps from the largest on: kept as long as the run is the same.
 * @param {Page} page @param {Ref} ref @param {boolean} inHead @param {boolean} readsOnce */
export function sortedTerms(page, ref, inHead, readsOnce) {
  const {model} = page;
  return memoised(page, "terms", [page.runs, refKey(ref)], () => {
    const values = inHead
      ? Float64Array.from({length: readsOnce ? 1 : model.steps}, (_, step) =>
          termsOf(model, ref, step).reduce((sum, term) => sum + term.value, 0),
        )
      : model.series(ref);
    return {values, order: largestFirst(values).filter(step => inHead || model.wiring.valid?.[step] !== 0)};
  });
}

/** @param {Page} page @param {Ref} ref @param {number} step */
function factorsAt(page, ref, step) {
  const [term] = termsOf(page.model, ref, step);
  if (!term || term.factors.length < 2) return "";
  return term.factors.map(({value}, k) => (value < 0 && k ? `(${figure(value, 4)})` : figure(value, 4))).join(" × ");
}

/** Go to a step's term: the gradient that its product has. @param {Page} page @param {Ref} ref @param {number} step */
function openTerm(page, ref, step) {
  const [term] = termsOf(page.model, ref, step);
  const gradient = term?.factors.find(({ref: part}) => part && page.model.isGradient(part))?.ref;
  if (gradient) openNumber(page, gradient);
}
