/** The stage: one unit at one step, as water that three valves let in, keep and let out. */
import {el, observeSize, reveal, setChildren, setText, svg} from "./dom.js";
import {figure, percent} from "../engine/figures.js";
import {askedOf, flowOf, hasFlow} from "./flow.js";
import {SMALL_STAGE, WIDE_STAGE} from "./layouts.js";
import {openNumber, typeset, unitWords} from "./detail.js";
import {arrowMarks, captionMark, levelMark, lineMark, pipeMark, ticksOf} from "./pipes.js";
import {pagePhrase} from "./phrases.js";
import {quantityName} from "./formulas.js";
import {litParts} from "./stage_path.js";
import {GATES, gateSentence, happening, inputSentence, negativeNote, untouchedOf} from "./stage_words.js";
import {rangesOf} from "./level_ranges.js";
import {leverOf, openGate} from "./gate_bias.js";
import {travelMarks} from "./travel.js";
import {valveMark} from "./valves.js";

const FEW_STEPS = 24; // of which each is long enough to follow its numbers
const NARROW = 520;
const LEAST = {wide: 0.72, short: 0.81}; // of the size in which a layout is drawn: its text has 12 pixels
const FEW_UNITS = 16; // of one cell: the page begins at the stage, above their strip
/** @type {(keyof Flow["names"])[]} */
const PARTS = [...GATES, "candidate", "before", "cell", "output", "input", "recurrent"];
const SOURCES = /** @type {StageSource[]} */ (["input", "recurrent"]);
const FEEDS = /** @type {(keyof Layout["feeds"])[]} */ (["forget_gate", "candidate", "input_gate", "output_gate"]);
const SIDES = /** @type {StageSide[]} */ (["kept", "written"]);
const HUES = {
  input_gate: "i",
  forget_gate: "f",
  output_gate: "o",
  candidate: "g",
  before: "c",
  cell: "c",
  output: "h",
  input: "x",
  recurrent: "h",
};
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

/** The lines from the input and the hidden state into the gates, by the parts that they lead from or to.
 * @param {Layout} layout @returns {[string, Element][]} */
function linesOf({sources, feeds}) {
  return [
    ...FEEDS.map(part => /** @type {[string, Element]} */ ([`into ${part}`, lineMark(feeds[part], "x", true)])),
    ...SOURCES.map(part => /** @type {[string, Element]} */ ([part, lineMark(sources[part], HUES[part], false)])),
  ];
}

/** The picture in one of its layouts. @param {Page} page @param {Layout} layout
 * @param {(gate: StageGate | null) => void} regard is told which gate the pointer or the focus is on */
function stagePicture(page, layout, regard) {
  const {model, store} = page;
  /** @param {string} name */
  const open = name => {
    const {layer, direction, step, unit} = store.state;
    const [size] = model.shape({layer, direction, name});
    openNumber(page, {layer, direction, name, step, at: [Math.min(unit, size - 1)]});
  };
  const lines = linesOf(layout);
  const pipes = PIPES.map(([place, quantity]) => ({place, ...pipeMark(layout.pipes[place], quantity)}));
  const tank = levelMark(layout.tank, "c", true);
  const gauge = levelMark(layout.gauge, "h", false);
  const ticks = ticksOf(layout.tank, tank);
  const rangeOf = rangesOf(page);
  let frame = 0;
  const valves = GATES.map(gate => {
    const valve = valveMark({
      hue: HUES[gate],
      regard: isRegarded => regard(isRegarded ? gate : null),
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
  const captions = PARTS.map(part => {
    return {part, ...captionMark(layout.captions[part], HUES[part], () => open(names[part]))};
  });
  const sides = SIDES.map(side => ({side, ...captionMark(layout.captions[side], "note", null)}));
  const travel = travelMarks(layout);
  const squash = svg("text", {
    class: "function",
    x: layout.squash[0],
    y: layout.squash[1] + 5,
    "text-anchor": "middle",
  });
  const picture = svg(
    "svg",
    {
      class: layout.isShort ? "picture small" : "picture",
      viewBox: layout.box,
      preserveAspectRatio: "xMinYMid",
      role: "group",
    },
    ...lines.map(([, line]) => line),
    ...pipes.map(pipe => pipe.element),
    svg("circle", {class: "node", cx: layout.plus[0], cy: layout.plus[1], r: 12}),
    svg("path", {class: "plus", d: `M${layout.plus[0] - 6} ${layout.plus[1]}h12m-6 -6v12`}),
    svg("circle", {class: "node", cx: layout.squash[0], cy: layout.squash[1], r: layout.isShort ? 18 : 22}),
    squash,
    tank.element,
    gauge.element,
    ...arrowMarks(layout.arrows),
    ...ticks.elements,
    ...[...sides, ...captions].map(caption => caption.element),
    ...valves.map(valve => valve.place),
    travel.element,
  );
  let travelled = -1;

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
    const place = {layer, direction};
    /** @param {string} name */
    const words = name => quantityName(page, {...place, name});
    const {hidden_state: h, cell_state: c, cell_gradient: dc, candidate} = model.roles(state);
    const {hidden} = model.cell(place);
    const before = pagePhrase(page, "stage.before");
    const input = pagePhrase(page, "quantities.input");
    const shown = (/** @type {string} */ text) => (layout.isShort ? "" : text);
    /** @type {Partial<Flow["names"]>} */
    const titles = {candidate: words(candidate), before, cell: words(c), output: words(h), input, recurrent: before};
    const dh = model.gradientName({...place, name: h}) ?? "";
    /** @type {Partial<Flow["names"]>} */
    const letters = state.backward ? {before: dc, recurrent: dh} : {before: c, recurrent: h};
    for (const {part, ...caption} of captions) {
      const name = flow.names[part];
      const title = titles[part] ?? words(name);
      const values = model.value({...place, name, step});
      const isOfUnit = values.length === hidden && part !== "input";
      caption.update({
        name: part === "recurrent" ? title : shown(title),
        letter: letters[part] ?? name,
        spoken: words(name),
        number: values.length === 1 ? values[0] : isOfUnit ? values[unit] : null,
        asked: asked(name),
      });
    }
    for (const {side, ...note} of sides) {
      const amount = flow.notes?.[side] ?? {value: null, tells: []};
      const name = side === "kept" ? pagePhrase(page, "stage.kept") : pagePhrase(page, "stage.new");
      note.update({
        name: flow.notes ? shown(name) : "",
        letter: "",
        spoken: name,
        number: layout.isShort ? null : amount.value,
        asked: !layout.isShort && asked(...amount.tells),
      });
    }
  }

  /** @type {[string, Element][]} */
  const parts = [
    ...lines,
    .../** @type {[string, Element][]} */ (pipes.map(pipe => [pipe.place, pipe.element])),
    .../** @type {[string, Element][]} */ (valves.map(valve => [valve.gate, valve.element])),
    ["tank", tank.element],
    ["gauge", gauge.element],
  ];

  /** @param {State} state @param {boolean} moving */
  function update(state, moving) {
    const {layer, direction, unit, step} = state;
    const flow = flowOf(model, state);
    const asked = askedOf(state);
    ({names} = flow);
    const unitName = unitWords(model, {layer, direction}, unit);
    picture.setAttribute("aria-label", pagePhrase(page, "stage.cell", {unit: unitName, step}));
    picture.classList.toggle("moving", moving);
    picture.classList.toggle("playing", state.playing);
    picture.classList.toggle("reversed", state.backward);
    setText(squash, flow.squash);
    const lit = litParts(page, state);
    for (const [part, element] of parts) element.classList.toggle("lit", lit.has(part));
    fill(state, flow, asked);
    write(state, flow, asked);
    const isNext = state.playing && moving && step !== travelled && model.steps <= FEW_STEPS;
    if (isNext) travel.send(flow, model.value({layer, direction, name: names.recurrent, step})[unit] ?? null, asked);
    if (!state.playing) travel.stop();
    travelled = step;
    for (const {gate, ...valve} of valves) {
      const name = model.roles(state)[gate];
      const quantity = {layer, direction, name};
      const label = pagePhrase(page, "stage.of", {quantity: quantityName(page, quantity), unit: unitName});
      const now = model.value({...quantity, step})[unit];
      const isAsked = asked(name);
      const stuck = leverOf(page, quantity) === null;
      const note = stuck ? pagePhrase(page, "stage.stuck") : gateSentence(page, state, gate);
      const text = isAsked
        ? pagePhrase(page, "stage.asked")
        : pagePhrase(page, "stage.open", {value: figure(now), percent: percent(now, page.doc.phrases.percent)});
      valve.update({open: now, label, text, note, stuck, asked: isAsked, moving});
    }
  }
  return {picture, update};
}

/** @param {Page} page */
export function stageView(page) {
  /** @type {StageGate | null} */
  let regarded = null;
  const regard = (/** @type {StageGate | null} */ gate) => {
    regarded = gate;
    setText(turned, gateSentence(page, page.store.state, regarded));
  };
  const {layers} = page.model;
  const units = layers.flatMap(({cells}) => cells.map(({hidden}) => hidden));
  const isFirst = units.length === 1 && units[0] <= FEW_UNITS;
  const pictures = new Map([WIDE_STAGE, SMALL_STAGE].map(layout => [layout, stagePicture(page, layout, regard)]));
  const place = el("div", {class: "stage-place"});
  const moment = el("p", {class: "moment"});
  const reads = el("p", {class: "reads soft"});
  const turned = el("p", {class: "turned"});
  const element = el(
    "div",
    {},
    el("h2", {class: "visually-hidden"}, pagePhrase(page, "stage.title")),
    place,
    reads,
    moment,
    turned,
  );
  const isUntouched = untouchedOf(page);
  let layout = WIDE_STAGE;
  let last = "";

  /** @param {State} state @param {boolean} moving */
  function draw(state, moving) {
    const isShown = hasFlow(page.model, state) && (isFirst || state.level !== "overview");
    reveal(element, isShown);
    document.getElementById("main")?.classList.toggle("strip-first", !isFirst);
    if (!isShown) return;
    const picture = pictures.get(layout);
    if (picture && place.firstElementChild !== picture.picture) place.replaceChildren(picture.picture);
    const [width, height] = layout.box.split(" ").slice(2);
    place.style.setProperty("aspect-ratio", `${width} / ${height}`);
    place.style.setProperty("min-height", `${(layout.isShort ? LEAST.short : LEAST.wide) * Number(height)}px`);
    picture?.update(state, moving);
    const sentence = happening(page, state);
    const words = isUntouched(state) ? pagePhrase(page, "stage.intro") : sentence;
    setChildren(moment, ...typeset(page, state, words));
    reads.replaceChildren(...inputSentence(page, state), negativeNote(page, state));
    setText(turned, gateSentence(page, state, regarded));
    const isSpoken = document.activeElement?.getAttribute("role") === "gridcell"; // with the chosen value
    if (last && sentence !== last && !state.playing && !isSpoken) page.say(sentence);
    last = sentence;
  }
  page.store.show((state, previous) => draw(state, state !== previous), true);
  observeSize(page, place, ([entry]) => {
    const {width} = entry.contentRect;
    const next = width > 0 && width < NARROW ? SMALL_STAGE : WIDE_STAGE;
    if (next === layout) return;
    layout = next;
    draw(page.store.state, false);
  });
  return element;
}
