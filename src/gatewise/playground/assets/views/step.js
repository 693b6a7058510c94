/** The chosen step, opened in place: its quantities for the chosen unit from x and h to h, each with what it is computed from. */
import {isHidden} from "./visibility.js";
import {largestSize} from "../engine/arrays.js";
import {el, reveal} from "./dom.js";
import {keepFocus} from "./edits.js";
import {graphOf} from "./graph.js";
import {hueOf, nameAlong, openedRef, refKey, symbolElement, typeset, unitWords} from "./detail.js";
import {quantityName} from "./formulas.js";
import {stepName} from "./quantities.js";
import {entriesShown} from "./entries.js";
import {litBy} from "./products.js";
import {anyNumber, restButton, signedBar} from "./number_controls.js";
import {weightsTable} from "./weights.js";
import {pagePhrase} from "./phrases.js";

const FAINTEST = 0.05; // of the largest: a shorter bar is a speck

/** The quantity that a node shows: itself, or its gradient where the pass has one.
 * @param {Page} page @param {Place} place @param {string} name @param {boolean} backward @returns {string | null} */
function shownName({model}, place, name, backward) {
  return backward ? model.gradientName({...place, name}) : name;
}

/** The largest size among the numbers of a graph, for bars. @param {Page} page @param {Place} place @param {ReturnType<typeof graphOf>} graph
 * @param {State} state */
function largestShown(page, place, graph, state) {
  const sizes = graph.nodes.flatMap(node => {
    const name = shownName(page, place, node.name, state.backward);
    const refs = name === null ? [] : node.entries.map(at => ({...place, name, step: state.step, at}));
    return refs.map(ref => (isHidden(state, ref) ? 0 : page.model.number(ref)));
  });
  return largestSize(sizes);
}

/** @param {Page} page @param {Place} place @param {Set<string>} opened @param {() => void} redraw */
function graphElement(page, place, opened, redraw) {
  const {model, store} = page;
  const {state} = store;
  const graph = graphOf(model, place, entriesShown(page, place, opened));
  const {backward} = state;
  const largest = backward ? largestShown(page, place, graph, state) : 0;
  const lit = litBy(page, state);
  const chosen = openedRef(model, state);
  const nodes = (backward ? [...graph.nodes].reverse() : graph.nodes).map(node => {
    const item = nodeElement(page, place, node, state, {largest, opened, redraw, lit, chosen});
    const goals = graph.nodes.filter(({sources}) => sources.includes(node.name)).map(({name}) => name);
    const names = (backward ? goals : node.sources).map(name => shownName(page, place, name, backward) ?? name);
    const from = typeset(page, place, pagePhrase(page, "step.from", {names: names.join(", ")}));
    if (names.length) item.append(el("small", {class: "sources"}, " ", ...from));
    item.style.setProperty("--column", String(backward ? graph.columns - 1 - node.column : node.column));
    return item;
  });
  return el("ol", {class: "graph"}, ...nodes);
}

/** @param {Page} page @param {Place} place @param {ReturnType<typeof graphOf>["nodes"][number]} node @param {State} state
 * @param {{largest: number, opened: Set<string>, redraw: () => void, lit: Map<string, Ref>, chosen: Ref | null}} options */
function nodeElement(page, place, node, state, options) {
  const {model} = page;
  const name = shownName(page, place, node.name, state.backward);
  const quantity = model.quantity({...place, name: name ?? node.name});
  const hue = hueOf(quantity);
  const item = el("li", {class: `node ${hue}${node.listed ? " listed" : ""}${node.joint ? " joint" : ""}`});
  const title = quantityName(page, {...place, name: node.name});
  if (name === null || node.joint) {
    item.append(el("span", {class: "head", title}, symbolElement(quantity)));
    return item;
  }
  const {listed} = node;
  const numbers = node.entries.map(at => {
    const ref = {...place, name, at, step: state.step};
    const label = listed ? nameAlong(model, place, model.axes({...place, name: node.name})[0] ?? "", at[0]) : "";
    const number = anyNumber(page, ref, {symbol: !listed, label});
    const key = refKey(ref);
    const isChosen = options.chosen !== null && refKey(options.chosen) === key && state.level !== "step";
    const row = el(
      "span",
      {class: ["row", options.lit.has(key) ? "lit" : "", isChosen ? "chosen" : ""].join(" ").trim()},
      number,
    );
    const value = state.backward && !isHidden(state, ref) ? model.number(ref) : 0;
    if (Math.abs(value) > FAINTEST * options.largest) row.append(signedBar(value, options.largest));
    return row;
  });
  if (!listed) {
    item.title = title;
    item.append(...numbers);
    return item;
  }
  item.append(
    el(
      "span",
      {class: "head", title},
      symbolElement(quantity),
      quantity.role === "input" && !place.layer ? tokenWords(page, state.step) : "",
    ),
    el("ul", {}, ...numbers.map(number => el("li", {}, number))),
  );
  if (node.rest > 0 || options.opened.has(node.name)) {
    const words = pagePhrase(page, node.rest > 0 ? "step.more" : "step.fewer", {count: node.rest});
    item.append(restButton(node.name, words, options.opened, options.redraw, `${node.name}: ${words}`));
  }
  return item;
}

/** Of which token the input is, where it is of one. @param {Page} page @param {number} step */
function tokenWords(page, step) {
  const token = page.model.wiring.tokens?.[step];
  return token === undefined ? "" : ` ${pagePhrase(page, "step.token", {token})}`;
}

/** The chosen step, opened. @param {Page} page */
export function stepView(page) {
  const root = el("div", {class: "step-view"});
  /** @type {Set<string>} */
  const opened = new Set();
  const draw = () => keepFocus(root, () => root.replaceChildren(...drawStep(page, opened, draw)));
  page.store.show((state, previous) => {
    const isOpen = state.level !== "overview";
    reveal(root, isOpen);
    if (!isOpen) return root.replaceChildren();
    if (state.layer !== previous.layer || state.direction !== previous.direction) opened.clear();
    draw();
  });
  return root;
}

/** @param {Page} page @param {Set<string>} opened @param {() => void} redraw */
function drawStep(page, opened, redraw) {
  const {model, store} = page;
  const {layer, direction, unit, step, backward} = store.state;
  const place = {layer, direction};
  const put = {step: stepName(page, step), unit: unitWords(model, place, unit)};
  const heading = pagePhrase(page, backward ? "step.backward" : "step.forward", put);
  const parts = [
    el("h2", {}, heading.charAt(0).toUpperCase() + heading.slice(1)),
    graphElement(page, place, opened, redraw),
    weightsTable(page, opened, redraw),
  ];
  if (model.hasHead && layer === model.layers.length - 1) {
    const head = {layer: model.layers.length, direction: 0};
    parts.push(
      el("h3", {}, pagePhrase(page, model.readsLast ? "step.head of last" : "step.head of step")),
      graphElement(page, head, opened, redraw),
    );
  }
  return parts;
}
