/** The stage: one unit at one step, as water that three valves let in, keep and let out. */
import {el, observeSize, reveal, setText, svg} from "./dom.js";
import {figure} from "../engine/figures.js";
import {askedOf, flowOf, hasFlow} from "./flow.js";
import {TALL_STAGE, WIDE_STAGE} from "./layouts.js";
import {openNumber, unitWords} from "./detail.js";
import {arrowMarks, captionMark, levelMark, pipeMark, ticksOf} from "./pipes.js";
import {isHidden} from "./visibility.js";
import {momentOf, quantityName, sentenceOf} from "./sentences.js";
import {isSmall} from "./start.js";
import {biasSentence, hasLever, openGate} from "./gate_bias.js";
import {valveMark} from "./valves.js";

const NARROW = 600;
const LEAST = 1e-12; // that a level is drawn to
const GATES = /** @type {StageGate[]} */ (["input_gate", "forget_gate", "output_gate"]);
const ENDS = /** @type {StageEnd[]} */ (["candidate", "before", "cell", "output"]);
const SIDES = /** @type {StageSide[]} */ (["kept", "written"]);
const HUES = {input_gate: "i", forget_gate: "f", output_gate: "o", candidate: "g", before: "c", cell: "c", output: "h"};
/** @type {[keyof Layout["pipes"], string][]} the pipes, and whose hue they have */
const PIPES = [
  ["before", "c"],
  ["candidate", "g"],
  ["written", "g"],
  ["kept", "c"],
  ["into", "c"],
  ["out", "c"],
  ["squashed", "c"],
  ["output", "h"],
];

/**
 * A function that returns the least range of round numbers that holds a quantity of one unit at all steps, and 0. Edits
 * only widen it, so that a level falls where its number does. While the run is still being computed, it stays as it was:
 * to ask for all steps would make the chosen one wait.
 * @param {Page} page
 */
function rangesOf(page) {
  /** @type {Map<string, {runs: number, answer: Answer | null, range: LevelRange}>} */
  const ranges = new Map();
  /** @param {State} state @param {string} name @returns {LevelRange} */
  return (state, name) => {
    const {layer, direction, unit, edits, answer} = state;
    const key = [layer, direction, unit, name].join();
    const last = ranges.get(key);
    if (last && ((last.runs === page.runs && last.answer === answer) || !page.settled)) return last.range;
    if (!page.settled) return {low: 0, high: 1};
    const number = {layer, direction, name, at: [unit]};
    const series = page.model.series(number);
    const now = roundRange(series.filter((_, step) => !isHidden(state, {...number, step})));
    const before = edits.length && last ? last.range : now;
    const range = {low: Math.min(now.low, before.low), high: Math.max(now.high, before.high)};
    ranges.set(key, {runs: page.runs, answer, range});
    return range;
  };
}

/** @param {Float64Array} values @returns {LevelRange} */
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
  const valves = GATES.map(gate => {
    const valve = valveMark({
      hue: HUES[gate],
      upright: layout.upright,
      turn(openness, isFinal) {
        cancelAnimationFrame(frame);
        const {layer, direction} = store.state;
        const turn = () => openGate(page, {layer, direction, name: model.roles(store.state)[gate]}, openness);
        if (isFinal)
          turn(); // at once: what follows, such as going back, comes after it
        else frame = requestAnimationFrame(turn);
      },
    });
    const [x, y] = layout.valves[gate];
    return {...valve, gate, place: svg("g", {transform: `translate(${x} ${y})`}, valve.element)};
  });
  /** @type {Flow["names"]} */
  let names;
  const gates = GATES.map(gate => {
    const openNow = () => open(model.roles(store.state)[gate]);
    return {gate, ...captionMark(layout.captions[gate], HUES[gate], openNow)};
  });
  const ends = ENDS.map(end => ({end, ...captionMark(layout.captions[end], HUES[end], () => open(names[end]))}));
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
    const {cell, candidate, output} = flow.names;
    const range = rangeOf(state, cell);
    const full = Math.max(...[cell, candidate, output].map(name => rangeOf(state, name).high));
    for (const {place, ...pipe} of pipes) {
      const {value, tells} = flow.pipes[place];
      pipe.update(asked(...tells) ? null : value, full);
    }
    const gaugeRange = state.backward ? rangeOf(state, output) : range;
    for (const [level, end, scale] of /** @type {const} */ ([
      [tank, "into", range],
      [gauge, "output", gaugeRange],
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
    const words = name => quantityName(page, {layer, direction, name});
    /** @param {string} name */
    const number = name => model.value({layer, direction, name, step})[unit];
    const roles = model.roles(state);
    for (const {gate, ...caption} of gates) {
      const name = roles[gate];
      caption.update({name: words(name), letter: name, spoken: words(name), number: number(name), asked: asked(name)});
    }
    const plain = {
      candidate: words(roles.candidate),
      before: "before",
      cell: words(roles.cell_state),
      output: words(roles.hidden_state),
    };
    for (const {end, ...caption} of ends) {
      const name = flow.names[end];
      const letter = end !== "before" ? name : state.backward ? roles.cell_gradient : "";
      caption.update({name: plain[end], letter, spoken: words(name), number: number(name), asked: asked(name)});
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
    const unitName = unitWords(model, {layer, direction}, unit);
    picture.setAttribute("aria-label", `The cell of ${unitName} at step ${step}`);
    picture.classList.toggle("moving", moving);
    picture.classList.toggle("reversed", state.backward);
    setText(squash, flow.squash);
    fill(state, flow, asked);
    write(state, flow, asked);
    for (const {gate, ...valve} of valves) {
      const name = model.roles(state)[gate];
      const quantity = {layer, direction, name};
      const label = `${quantityName(page, quantity)} of ${unitName}`;
      const now = model.value({...quantity, step})[unit];
      valve.update({open: now, label, stuck: !hasLever(page, quantity), asked: asked(name), moving});
    }
  }
  return {picture, update};
}

/** The meaning of the pipes' looks where an amount is negative. @param {Page} page @param {State} state */
function negativeNote(page, state) {
  const asked = askedOf(state);
  const pipes = Object.values(flowOf(page.model, state).pipes);
  if (!pipes.some(({value, tells}) => value !== null && value < 0 && !asked(...tells))) return "";
  return state.backward ? "Blue: negative." : "Hatched: negative.";
}

/** The input of the step, where that is short. @param {Page} page @param {State} state */
function inputSentence({model}, {layer, direction, step}) {
  const place = {layer, direction};
  const {features} = model.cell(place);
  if (features.length > 6) return [];
  const values = model.value({...place, name: model.roles(place).input, step});
  return features.flatMap((name, place) => [
    el("span", {class: "pair"}, name, " ", el("span", {class: "number"}, figure(values[place]))),
    " ",
  ]);
}

/** The walkthrough's sentence on the step; backward, on the gradient at the cell state. @param {Page} page
 * @param {State} state */
function happening(page, state) {
  const {layer, direction, step, unit, backward} = state;
  const {model} = page;
  const {cell_gradient: gradient, ...roles} = model.roles(state);
  const {hidden_state: h, candidate: g, previous_cell_state: c} = roles;
  const gradients = [h, g, c].map(name => model.gradientName({layer, direction, name}) ?? "");
  const names = backward ? [...Object.values(roles), gradient, ...gradients] : Object.values(roles);
  if (page.doc.inputs.valid?.[step] === false)
    return "This step is masked: the cell passes over it, and its state stays.";
  if (askedOf(state)(...names)) return "Some numbers are hidden until you answer.";
  return backward
    ? sentenceOf(page, {layer, direction, name: gradient, step}, [unit])
    : momentOf(page, {layer, direction, step, unit});
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
  let last = "";

  /** @param {State} state @param {boolean} moving */
  function draw(state, moving) {
    const {layer, direction} = state;
    const isShown = hasFlow(page.model, state) && (isSmall(page.model) || state.level !== "overview");
    reveal(element, isShown);
    document.getElementById("main")?.classList.toggle("strip-first", !isSmall(page.model));
    if (!isShown) return;
    const picture = pictures.get(layout);
    if (picture && place.firstElementChild !== picture.picture) place.replaceChildren(picture.picture);
    picture?.update(state, moving);
    const sentence = happening(page, state);
    setText(moment, sentence);
    reads.replaceChildren(...inputSentence(page, state), negativeNote(page, state));
    setText(
      turned,
      GATES.map(gate => biasSentence(page, {layer, direction, name: page.model.roles(state)[gate]}))
        .filter(Boolean)
        .join(" "),
    );
    const isSpoken = document.activeElement?.getAttribute("role") === "gridcell"; // with the chosen value
    if (last && sentence !== last && !state.playing && !isSpoken) page.say(sentence);
    last = sentence;
  }
  page.store.show((state, previous) => draw(state, state !== previous), true);
  observeSize(page, element, ([entry]) => {
    const {width} = entry.contentRect;
    const next = width > 0 && width < NARROW ? TALL_STAGE : WIDE_STAGE;
    if (next === layout) return;
    layout = next;
    draw(page.store.state, false);
  });
  return element;
}
