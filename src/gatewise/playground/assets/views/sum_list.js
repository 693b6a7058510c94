/** The terms of a sum as a list: each a button with its bar; how many are left out; and the sum. */
import {largestSize} from "../engine/arrays.js";
import {compact, figure} from "../engine/figures.js";
import {symbolElement} from "./detail.js";
import {button, el} from "./dom.js";
import {oldNumber} from "./edits.js";
import {restButton, signedBar} from "./number_controls.js";
import {pagePhrase} from "./phrases.js";
import {isHidden} from "./visibility.js";

const MOST_TERMS = 12;
const TIE = 2 ** -34; // of the largest size, as in gatewise.margins

/** The size of a term among others: NaN comes first, since every sum with it is NaN. @param {number} value */
function sizeOfTerm(value) {
  return Number.isNaN(value) ? Number.MAX_VALUE : Math.min(Math.abs(value), Number.MAX_VALUE);
}

/** The places of terms, the largest first; those that differ by rounding alone stay in their order.
 * @param {ArrayLike<number> & Iterable<number>} values */
export function largestFirst(values) {
  const sizes = Array.from(values, sizeOfTerm);
  const order = [...sizes.keys()].sort((first, second) => sizes[second] - sizes[first] || first - second);
  const within = TIE * largestSize(values);
  for (let start = 0, stop = 0; start < order.length; start = stop) {
    while (stop < order.length && sizes[order[stop]] >= sizes[order[start]] - within) stop++;
    order.splice(start, stop - start, ...order.slice(start, stop).sort((first, second) => first - second));
  }
  return order;
}

/**
 * The list of a sum's terms in an order, the opened one among them.
 * @param {Page} page @param {Ref} summed
 * @param {{kind: string, values: ArrayLike<number> & Iterable<number>, order: number[], open?: number | null}} terms
 * @param {Set<string>} opened where the rest of the list is noted, once it is shown @param {() => void} redraw
 * @param {(index: number) => {name: Child[], factors: string, press: () => void, isTold?: boolean, inside?: Element | null}} rowOf
 * @param {...Child} lead what stands above it
 */
export function sumList(page, summed, {kind, values, order, open = null}, opened, redraw, rowOf, ...lead) {
  const isAsked = isHidden(page.store.state, summed);
  const isLong = order.length > MOST_TERMS + 2;
  const largest = largestSize(values);
  const shown = order.slice(0, isLong && !opened.has(kind) ? MOST_TERMS : order.length);
  const others = order.slice(shown.length).filter(index => index !== open);
  if (shown.length + others.length < order.length) shown.push(Number(open));
  const rows = shown.map(index => {
    const {name, factors, press, isTold = true, inside} = rowOf(index);
    const isExpanded = inside === undefined ? null : String(inside !== null);
    const row = button(
      press,
      {class: "product", "aria-expanded": isExpanded, "data-key": `${kind} ${index}`},
      el("span", {class: "name"}, ...name),
      el("span", {class: "factors number"}, factors),
      signedBar(isTold ? values[index] : 0, largest),
      el("span", {class: "number value"}, isTold ? compact(values[index]) : "?"),
    );
    return el("li", {class: inside && "open"}, row, inside);
  });
  const sum = isAsked ? "?" : compact(others.reduce((total, index) => total + values[index], 0));
  const more = pagePhrase(page, others.length ? "products.smaller" : "products.largest", {count: others.length, sum});
  const value = isAsked ? "?" : figure(page.model.number(summed), 8);
  const total = el(
    "p",
    {class: "total"},
    `${pagePhrase(page, "products.together")} `,
    symbolElement(page.model.quantity(summed)),
    " ",
    el("span", {class: "number value"}, value),
    isAsked ? null : oldNumber(page, summed),
  );
  return el(
    "div",
    {class: "sum"},
    ...lead,
    el("ol", {class: "products"}, ...rows),
    isLong ? restButton(kind, more, opened, redraw) : null,
    order.length > 1 ? total : null,
  );
}
