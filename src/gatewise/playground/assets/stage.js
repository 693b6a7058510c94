/** The stage: one unit at one step, as water that three valves let in, keep and let out. */
import {el, reveal, setText, svg} from "./dom.js";
import {figure} from "./figures.js";
import {askedOf, flowOf, hasFlow} from "./flow.js";
import {TALL_STAGE, WIDE_STAGE} from "./layouts.js";
import {openNumber} from "./opened.js";
import {captionMark, levelMark, pipeMark, ticksOf} from "./pipes.js";
import {quantityName, momentOf} from "./sentences.js";
import {isSmall} from "./start.js";
import {leverOf, turnGate, turnedSentence} from "./turning.js";
import {valveMark} from "./valves.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./layouts.js").Layout} Layout */
/** @typedef {import("./flow.js").Flow} Flow */

const NARROW = 600;
const GATES = /** @type {("i" | "f" | "o")[]} */ (["i", "f", "o"]);
/** @type {[keyof Layout["pipes"], string, keyof Flow][]} */
const PIPES = [
  ["before", "c", "before"], ["candidate", "g", "candidate"], ["written", "g", "written"], ["kept", "c", "kept"],
  ["into", "c", "cell"], ["out", "c", "cell"], ["squashed", "c", "squashed"], ["put", "h", "put"],
];
/** @type {Partial<Record<keyof Flow, string[]>>} what would be given away by an amount */
const TELLS = {
  before: ["c_prev"], candidate: ["g"], written: ["i", "g", "c"], kept: ["f", "c_prev", "c"], cell: ["c"],
  squashed: ["c", "h"], put: ["h"],
};

/**
 * What gives the least range of round numbers that holds a quantity of one unit at all steps, and 0. While the run is
 * still being computed, it stays as it was: to ask for all steps would make the chosen one wait.
 * @param {Page} page
 */
function rangesOf(page) {
  /** @type {Map<string, {runs: number, range: import("./pipes.js").Range}>} */
  const kept = new Map();
  /** @param {State} state @param {string} name */
  return ({layer, direction, unit}, name) => {
    const key = [layer, direction, unit, name].join();
    const found = kept.get(key);
    if (found && (found.runs === page.runs || !page.settled)) return found.range;
    if (!page.settled) return {low: 0, high: 1};
    const range = roundRange(page.model.series(layer, direction, name, unit));
    kept.set(key, {runs: page.runs, range});
    return range;
  };
}

/** @param {Float64Array} values */
function roundRange(values) {
  const known = values.filter(Number.isFinite);
  const greatest = known.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const digit = 10 ** Math.floor(Math.log10(greatest));
  const end = Math.ceil(greatest / digit - 1e-9) * digit;
  return {low: known.some(value => value < -0.02 * end) ? -end : 0, high: end};
}

/** The picture in one of its layouts. @param {Page} page @param {Layout} layout */
function stagePicture(page, layout) {
  const {model, store} = page;
  /** @param {string} name */
  const open = name => {
    const {layer, direction, step, unit} = store.state;
    openNumber(page, {layer, direction, name, step, at: [unit]});
  };
  const pipes = PIPES.map(([place, quantity, amount]) => ({...pipeMark(layout.pipes[place], quantity), amount}));
  const tank = levelMark(layout.tank, "c", true);
  const gauge = levelMark(layout.gauge, "h", false);
  const ticks = ticksOf(layout.tank, tank);
  const rangeOf = rangesOf(page);
  let frame = 0;
  const valves = GATES.map(name => {
    const valve = valveMark({name, upright: layout.upright, turn(wanted) {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => turnGate(page, name, wanted));
    }});
    const [x, y] = layout.valves[name];
    return {...valve, name, place: svg("g", {transform: `translate(${x} ${y})`}, valve.element)};
  });
  let putName = "h";
  const captions = ["g", "i", "f", "c", "o", "c_prev", "h"].map(name => ({
    name, ...captionMark(layout.captions[name], name === "c_prev" ? "c" : name, name === "c_prev" ? "" : name,
      () => open(name === "h" ? putName : name)),
  }));
  const notes = /** @type {const} */ (["kept", "written"]).map(name => ({
    name, ...captionMark(layout.captions[name], "note", "", null)}));
  const squash = svg("text", {class: "function", x: layout.squash[0], y: layout.squash[1] + 5, "text-anchor": "middle"});
  const picture = svg("svg", {class: "picture", viewBox: layout.box, role: "group"},
    ...pipes.map(pipe => pipe.element),
    svg("circle", {class: "node", cx: layout.plus[0], cy: layout.plus[1], r: 12}),
    svg("path", {class: "plus", d: `M${layout.plus[0] - 6} ${layout.plus[1]}h12m-6 -6v12`}),
    svg("circle", {class: "node", cx: layout.squash[0], cy: layout.squash[1], r: 20}), squash,
    tank.element, gauge.element, ...ticks.elements, ...notes.map(note => note.element),
    ...captions.map(caption => caption.element), ...valves.map(valve => valve.place));

  /** @param {State} state @param {boolean} moving */
  function update(state, moving) {
    const {layer, direction, unit, step} = state;
    const flow = flowOf(model, state);
    const asked = askedOf(state);
    /** @param {keyof Flow} amount */
    const isAsked = amount => asked(...(TELLS[amount] ?? []), ...(amount === "put" ? [flow.putName] : []));
    const range = rangeOf(state, "c");
    ({putName} = flow);
    const unitName = model.layers[layer].cells[direction].units[unit];
    picture.setAttribute("aria-label", `The cell of ${unitName} at step ${step}`);
    picture.classList.toggle("moving", moving);
    for (const pipe of pipes) {
      const amount = isAsked(pipe.amount) ? null : /** @type {number | null} */ (flow[pipe.amount]);
      pipe.update(amount, pipe.amount === "candidate" ? 1 : range.high);
    }
    tank.update(isAsked("cell") ? 0 : flow.cell, range);
    ticks.update(range);
    gauge.update(isAsked("put") ? 0 : flow.put, rangeOf(state, putName));
    setText(squash, flow.squash);
    for (const {name, ...valve} of valves) {
      const words = quantityName(page, layer, direction, name);
      const now = model.value(layer, direction, name, step)[unit];
      valve.update({open: now, label: `${words} of ${unitName}`, stuck: leverOf(page, name) === null,
        asked: asked(name), moving});
    }
    for (const {name, ...caption} of captions) {
      const shown = name === "h" ? putName : name;
      const words = name === "c_prev" ? "before" : quantityName(page, layer, direction, shown);
      caption.update(words, model.value(layer, direction, shown, step)[unit], asked(shown));
    }
    notes[0].update("kept", flow.kept, isAsked("kept"));
    notes[1].update("new", flow.written, isAsked("written"));
  }
  return {picture, update};
}

/** What the step reads, where that is short. @param {Page} page @param {State} state */
function inputSentence(page, {layer, direction, step}) {
  const {features} = page.model.layers[layer].cells[direction];
  if (features.length > 6) return [];
  const values = page.model.value(layer, direction, "x", step);
  return features.flatMap((name, place) => [
    el("span", {class: "pair"}, name, " ", el("span", {class: "number"}, figure(values[place]))), " "]);
}

/** @param {Page} page */
export function stageView(page) {
  const pictures = new Map([WIDE_STAGE, TALL_STAGE].map(layout => [layout, stagePicture(page, layout)]));
  const place = el("div", {class: "place"});
  const moment = el("p", {class: "moment"});
  const reads = el("p", {class: "reads soft"});
  const turned = el("p", {class: "turned"});
  const element = el("div", {}, el("h2", {class: "visually-hidden"}, "The cell at this step"), place, reads, moment, turned);
  let layout = WIDE_STAGE;
  let seen = "";

  /** @param {State} state @param {boolean} moving */
  function draw(state, moving) {
    const {layer, direction, step, unit} = state;
    const isShown = hasFlow(page.model, state) && (isSmall(page.model) || state.level !== "overview");
    reveal(element, isShown);
    document.getElementById("main")?.classList.toggle("strip-first", !isSmall(page.model));
    if (!isShown) return;
    const shown = pictures.get(layout);
    if (shown && place.firstElementChild !== shown.picture) place.replaceChildren(shown.picture);
    shown?.update(state, moving);
    const isAsked = askedOf(state)("i", "f", "g", "o", "c", "h", "c_prev");
    const sentence = isAsked ? "One of its numbers is asked for." : momentOf(page, layer, direction, step, unit);
    setText(moment, sentence);
    reads.replaceChildren(...inputSentence(page, state));
    setText(turned, GATES.map(name => turnedSentence(page, name, quantityName(page, layer, direction, name))).filter(Boolean).join(" "));
    const isSpoken = document.activeElement?.getAttribute("role") === "gridcell";  // with the chosen value
    if (seen && sentence !== seen && !state.playing && !isSpoken) page.say(sentence);
    seen = sentence;
  }
  page.store.show((state, previous) => draw(state, state !== previous));
  new ResizeObserver(([entry]) => {
    const {width} = entry.contentRect;
    const next = width > 0 && width < NARROW ? TALL_STAGE : WIDE_STAGE;
    if (next === layout) return;
    layout = next;
    draw(page.store.state, false);
  }).observe(element);
  return element;
}
