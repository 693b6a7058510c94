/** The stage: one unit at one step, as water that three valves let in, keep and let out. */
import {cellStateOf} from "../engine/cell_state.js";
import {el, reveal, setText, svg} from "./dom.js";
import {figure} from "../engine/figures.js";
import {askedOf, flowOf, hasFlow} from "./flow.js";
import {TALL_STAGE, WIDE_STAGE} from "./layouts.js";
import {openNumber, unitWords} from "./detail.js";
import {arrowMarks, captionMark, levelMark, pipeMark, ticksOf} from "./pipes.js";
import {hidden} from "./visibility.js";
import {momentOf, quantityName, sentenceOf} from "./sentences.js";
import {isSmall} from "./start.js";
import {leverOf, turnGate, turnedSentence} from "./gate_bias.js";
import {valveMark} from "./valves.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./layouts.js").Layout} Layout */
/** @typedef {import("./flow.js").Flow} Flow */
/** @typedef {import("./pipes.js").Range} Range */

const NARROW = 600;
const LEAST = 1e-12; // that a level is drawn to
const GATES = /** @type {("i" | "f" | "o")[]} */ (["i", "f", "o"]);
/** @type {[keyof Layout["pipes"], string][]} the pipes, and whose hue they have */
const PIPES = [
  ["before", "c"],
  ["candidate", "g"],
  ["written", "g"],
  ["kept", "c"],
  ["into", "c"],
  ["out", "c"],
  ["squashed", "c"],
  ["put", "h"],
];
const ENDS = /** @type {("g" | "c_prev" | "c" | "h")[]} */ (["g", "c_prev", "c", "h"]);
const SIDES = /** @type {("kept" | "written")[]} */ (["kept", "written"]);

/**
 * What gives the least range of round numbers that holds a quantity of one unit at all steps, and 0. Edits only widen
 * it, so that a level falls where its number does. While the run is still being computed, it stays as it was: to ask
 * for all steps would make the chosen one wait.
 * @param {Page} page
 */
function rangesOf(page) {
  /** @type {Map<string, {runs: number, answer: any, range: Range}>} */
  const kept = new Map();
  /** @param {State} state @param {string} name @returns {Range} */
  return (state, name) => {
    const {layer, direction, unit, edits, answer} = state;
    const key = [layer, direction, unit, name].join();
    const found = kept.get(key);
    if (found && ((found.runs === page.runs && found.answer === answer) || !page.settled)) return found.range;
    if (!page.settled) return {low: 0, high: 1};
    const series = page.model.series(layer, direction, name, unit);
    const now = roundRange(series.filter((_, step) => !hidden(state, {layer, direction, name, step, at: [unit]})));
    const before = edits.length && found ? found.range : now;
    const range = {low: Math.min(now.low, before.low), high: Math.max(now.high, before.high)};
    kept.set(key, {runs: page.runs, answer, range});
    return range;
  };
}

/** @param {Float64Array} values @returns {Range} */
function roundRange(values) {
  const known = values.filter(Number.isFinite);
  const greatest = known.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (greatest < LEAST) return {low: 0, high: 1};
  const digit = 10 ** Math.floor(Math.log10(greatest));
  const end = Number((Math.ceil(greatest / digit - 1e-9) * digit).toPrecision(2));
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
  const pipes = PIPES.map(([place, quantity]) => ({place, ...pipeMark(layout.pipes[place], quantity)}));
  const tank = levelMark(layout.tank, "c", true);
  const gauge = levelMark(layout.gauge, "h", false);
  const ticks = ticksOf(layout.tank, tank);
  const rangeOf = rangesOf(page);
  let frame = 0;
  const valves = GATES.map(name => {
    const valve = valveMark({
      name,
      upright: layout.upright,
      turn(wanted, isFinal) {
        cancelAnimationFrame(frame);
        if (isFinal)
          turnGate(page, name, wanted); // at once: what follows, such as going back, comes after it
        else frame = requestAnimationFrame(() => turnGate(page, name, wanted));
      },
    });
    const [x, y] = layout.valves[name];
    return {...valve, name, place: svg("g", {transform: `translate(${x} ${y})`}, valve.element)};
  });
  let names = {g: "g", c_prev: "c_prev", c: "c", h: "h"};
  const gates = GATES.map(name => ({name, ...captionMark(layout.captions[name], name, () => open(name))}));
  const ends = ENDS.map(end => ({
    end,
    ...captionMark(layout.captions[end], end === "c_prev" ? "c" : end, () => open(names[end])),
  }));
  const sides = SIDES.map(side => ({side, ...captionMark(layout.captions[side], "note", null)}));
  const squash = svg("text", {
    class: "function",
    x: layout.squash[0],
    y: layout.squash[1] + 5,
    "text-anchor": "middle",
  });
  const picture = svg(
    "svg",
    {class: layout.upright ? "picture" : "picture tall", viewBox: layout.box, role: "group"},
    ...pipes.map(pipe => pipe.element),
    svg("circle", {class: "node", cx: layout.plus[0], cy: layout.plus[1], r: 12}),
    svg("path", {class: "plus", d: `M${layout.plus[0] - 6} ${layout.plus[1]}h12m-6 -6v12`}),
    svg("circle", {class: "node", cx: layout.squash[0], cy: layout.squash[1], r: 20}),
    squash,
    tank.element,
    gauge.element,
    ...arrowMarks(layout.arrows),
    ...ticks.elements,
    ...[...sides, ...gates, ...ends].map(caption => caption.element),
    ...valves.map(valve => valve.place),
  );

  /** @param {State} state @param {Flow} flow @param {(...names: string[]) => boolean} asked */
  function fill(state, flow, asked) {
    const range = rangeOf(state, flow.names.c);
    const full = Math.max(...[flow.names.c, flow.names.g, flow.names.h].map(name => rangeOf(state, name).high));
    for (const {place, ...pipe} of pipes) {
      const {value, tells} = flow.pipes[place];
      pipe.update(asked(...tells) ? null : value, full);
    }
    const gaugeRange = state.backward ? rangeOf(state, flow.names.h) : range;
    for (const [level, end, scale] of /** @type {const} */ ([
      [tank, "into", range],
      [gauge, "put", gaugeRange],
    ])) {
      const {value, tells} = flow.pipes[end];
      level.update(asked(...tells) ? 0 : (value ?? 0), scale);
    }
    ticks.update(range);
  }

  /** @param {State} state @param {Flow} flow @param {(...names: string[]) => boolean} asked */
  function write(state, flow, asked) {
    const {layer, direction, unit, step} = state;
    /** @param {string} name */
    const words = name => quantityName(page, layer, direction, name);
    /** @param {string} name */
    const number = name => model.value(layer, direction, name, step)[unit];
    for (const {name, ...gate} of gates) {
      gate.update({name: words(name), letter: name, spoken: words(name), number: number(name), asked: asked(name)});
    }
    for (const {end, ...caption} of ends) {
      const name = flow.names[end];
      const plain =
        end === "c_prev" ? "before" : words(state.backward ? name.slice(1) : name).replace(/ before .*/, "");
      const letter = end === "c_prev" && !state.backward ? "" : name.replace("_prev", "");
      caption.update({name: plain, letter, spoken: words(name), number: number(name), asked: asked(name)});
    }
    for (const {side, ...note} of sides) {
      const amount = flow.notes?.[side] ?? {value: null, tells: []};
      const name = side === "kept" ? "kept" : "new";
      note.update({
        name: flow.notes ? name : "",
        letter: "",
        spoken: name,
        number: amount.value,
        asked: asked(...amount.tells),
      });
    }
  }

  /** @param {State} state @param {boolean} moving */
  function update(state, moving) {
    const {layer, direction, unit, step} = state;
    const flow = flowOf(model, state);
    const asked = askedOf(state);
    ({names} = flow);
    const unitName = unitWords(model, layer, direction, unit);
    picture.setAttribute("aria-label", `The cell of ${unitName} at step ${step}`);
    picture.classList.toggle("moving", moving);
    picture.classList.toggle("reversed", state.backward);
    setText(squash, flow.squash);
    fill(state, flow, asked);
    write(state, flow, asked);
    for (const {name, ...valve} of valves) {
      const label = `${quantityName(page, layer, direction, name)} of ${unitName}`;
      const now = model.value(layer, direction, name, step)[unit];
      valve.update({open: now, label, stuck: leverOf(page, name) === null, asked: asked(name), moving});
    }
  }
  return {picture, update};
}

/** What the pipes' looks mean where an amount is negative. @param {Page} page @param {State} state */
function negativeNote(page, state) {
  const asked = askedOf(state);
  const pipes = Object.values(flowOf(page.model, state).pipes);
  if (!pipes.some(({value, tells}) => value !== null && value < 0 && !asked(...tells))) return "";
  return state.backward ? "Blue: negative." : "Hatched: negative.";
}

/** What the step reads, where that is short. @param {Page} page @param {State} state */
function inputSentence(page, {layer, direction, step}) {
  const {features} = page.model.layers[layer].cells[direction];
  if (features.length > 6) return [];
  const values = page.model.value(layer, direction, "x", step);
  return features.flatMap((name, place) => [
    el("span", {class: "pair"}, name, " ", el("span", {class: "number"}, figure(values[place]))),
    " ",
  ]);
}

/** What happens now, in the walkthrough's sentence; backward, what arrives at the cell state. @param {Page} page
 * @param {State} state */
function happening(page, state) {
  const {layer, direction, step, unit, backward} = state;
  const {sum, gradient} = cellStateOf(page.model, layer, direction);
  const names = ["i", "f", "g", "o", "c", "h", "c_prev", sum, ...(backward ? [gradient, "dh", "dg", "dc_prev"] : [])];
  if (page.doc.inputs.valid?.[step] === false)
    return "This step is masked: the cell passes over it, and its state stays.";
  if (askedOf(state)(...names)) return "One of its numbers is asked for.";
  return backward
    ? sentenceOf(page, layer, direction, gradient, step, [unit])
    : momentOf(page, layer, direction, step, unit);
}

/** @param {Page} page */
export function stageView(page) {
  const pictures = new Map([WIDE_STAGE, TALL_STAGE].map(layout => [layout, stagePicture(page, layout)]));
  const place = el("div", {class: "place"});
  const moment = el("p", {class: "moment"});
  const reads = el("p", {class: "reads soft"});
  const turned = el("p", {class: "turned"});
  const element = el(
    "div",
    {},
    el("h2", {class: "visually-hidden"}, "The cell at this step"),
    place,
    reads,
    moment,
    turned,
  );
  let layout = WIDE_STAGE;
  let seen = "";

  /** @param {State} state @param {boolean} moving */
  function draw(state, moving) {
    const {layer, direction} = state;
    const isShown = hasFlow(page.model, state) && (isSmall(page.model) || state.level !== "overview");
    reveal(element, isShown);
    document.getElementById("main")?.classList.toggle("strip-first", !isSmall(page.model));
    if (!isShown) return;
    const shown = pictures.get(layout);
    if (shown && place.firstElementChild !== shown.picture) place.replaceChildren(shown.picture);
    shown?.update(state, moving);
    const sentence = happening(page, state);
    setText(moment, sentence);
    reads.replaceChildren(...inputSentence(page, state), negativeNote(page, state));
    setText(
      turned,
      GATES.map(name => turnedSentence(page, name, quantityName(page, layer, direction, name)))
        .filter(Boolean)
        .join(" "),
    );
    const isSpoken = document.activeElement?.getAttribute("role") === "gridcell"; // with the chosen value
    if (seen && sentence !== seen && !state.playing && !isSpoken) page.say(sentence);
    seen = sentence;
  }
  page.store.show((state, previous) => draw(state, state !== previous), true);
  new ResizeObserver(([entry]) => {
    const {width} = entry.contentRect;
    const next = width > 0 && width < NARROW ? TALL_STAGE : WIDE_STAGE;
    if (next === layout) return;
    layout = next;
    draw(page.store.state, false);
  }).observe(element);
  return element;
}
