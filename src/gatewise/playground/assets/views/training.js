/** The scene of a cell that learns: settings, the way through the updates, and a sequence under the present weights. */
import {figure} from "../engine/figures.js";
import {outputError, sequenceOf} from "../engine/tasks.js";
import {MOST_UPDATES, takeNumbers, Trainer} from "../engine/training.js";
import {onDecades} from "./colours.js";
import {button, el, setAttributes, setText} from "./dom.js";
import {keepFocus} from "./edits.js";
import {pagePhrase} from "./phrases.js";
import {lane} from "./timeline.js";
import {changeSettings, settingFields} from "./training_settings.js";
import {updateParts} from "./update_table.js";

const SLICE = 8; // milliseconds of training, between two pictures
const DECADES = 12; // of errors that are shown,
const LARGEST = 100; // up to this
const REACH = 1.5; // of outputs, to either side

/**
 * Training that follows the state: where the state names an update, it trains until it is there, with a picture now and
 * then; while it plays, the state follows.
 * @param {Page} page
 */
function trainingOf(page) {
  const {read, elements} = settingFields(page);
  let frame = 0;
  let settingsKey = "";
  let drawn = "";
  let isPlaying = false;
  const training = {
    elements,
    trainer: new Trainer(page.model.wiring, read().settings),
    target: new Float64Array(0),
    goal: -1,
    /** Follow the state. */
    follow() {
      const {settings, update} = read();
      if (JSON.stringify(settings) !== settingsKey) {
        training.trainer = new Trainer(page.model.wiring, settings);
        training.goal = -1;
      }
      settingsKey = JSON.stringify(settings);
      if (update !== (isPlaying ? training.trainer.at : training.goal)) training.go(update, false);
      else show();
    },
    /** Train up to an update; or, playing, on and on. @param {number} goal @param {boolean} plays */
    go(goal, plays) {
      cancelAnimationFrame(frame);
      const {trainer} = training;
      const goesOn = trainer.goTo(goal, SLICE);
      if (!goesOn && trainer.at < goal) page.tell(pagePhrase(page, "training.failed", {update: trainer.at}));
      else if (!goesOn && plays) page.tell(pagePhrase(page, "training.ended", {update: trainer.at}));
      isPlaying = plays && goesOn;
      training.goal = goesOn ? goal : trainer.at;
      if (goesOn) frame = requestAnimationFrame(() => training.go(goal, plays));
      show();
      changeSettings(page, {update: String(isPlaying ? trainer.at : training.goal)});
    },
    /** Whether it trains. */
    isBusy: () => training.trainer.at < training.goal,
  };
  /** Let the model have the weights and the sequence that are to be seen. */
  function show() {
    const {settings, sequence} = read();
    const {trainer} = training;
    const {model} = page;
    const key = `${settingsKey} ${sequence} ${trainer.at}`;
    if (key === drawn) return;
    drawn = key;
    const {x, target} = sequenceOf(settings, trainer.steps, sequence === "next" ? trainer.at : -1);
    training.target = target;
    model.lossOf = (network, loss) => (loss.of === "error" ? outputError(network, target) : loss);
    for (const network of [model.base, model.edited ?? model.base]) {
      takeNumbers(network, trainer.weights, x);
      network.history.clear();
    }
    model.edit([...model.edits]);
    model.setLoss({...page.store.state.loss});
    while (!model.finish(SLICE));
    page.settled = true;
    page.runs += 1;
    page.store.change({});
  }
  page.closed.addEventListener("abort", () => cancelAnimationFrame(frame));
  return training;
}

/** The loss of every update so far; what is wanted of the sequence that is seen, and what is put out there.
 * @param {Page} page @param {ReturnType<typeof trainingOf>} training */
function lanes(page, {trainer, target}) {
  const {model, store} = page;
  const {step} = store.state;
  trainer.update(); // whose loss is the last one
  const outputs = target.map((wanted, n) => (Number.isNaN(wanted) ? 0 : model.network.output.rowOf("output", n)[0]));
  const decades = Float64Array.from(trainer.losses, loss => onDecades(loss, LARGEST, DECADES));
  const choose = (/** @type {number} */ n) => store.change({step: n});
  const rewind = (/** @type {number} */ update) => changeSettings(page, {update: String(update)});
  const [losses, wanted, output] = pagePhrase(page, "training.lanes").split("|");
  return [
    {label: losses, values: decades, largest: 1, step: trainer.at, choose: rewind, kind: "effect"},
    {label: wanted, values: target, largest: REACH, step, choose},
    {label: output, values: outputs, largest: REACH, step, choose},
  ].map(what => lane([what.label], what));
}

/** @param {Page} page */
export function trainingView(page) {
  const training = trainingOf(page);
  const settings = training.elements;
  const update = settings.pop();
  const [, delayField] = settings;
  const toggle = () => {
    const isBusy = training.isBusy();
    training.go(isBusy ? training.trainer.at : MOST_UPDATES, !isBusy);
    if (isBusy) page.say(error.textContent);
  };
  const trainOnce = () => changeSettings(page, {update: String(training.trainer.at + 1)});
  const play = button(toggle, {class: "primary"});
  const next = button(trainOnce, {}, pagePhrase(page, "training.one"));
  const task = el("p", {});
  const error = el("p", {class: "soft"});
  const plots = el("div", {class: "plots"});
  const parts = el("div");
  const panels = [
    {words: "training.opened", content: parts},
    {words: "training.settings", content: el("div", {class: "settings"}, ...settings)},
  ].map(({words, content}) =>
    el("details", {ontoggle: () => draw()}, el("summary", {}, pagePhrase(page, words)), content),
  );
  function draw() {
    const {trainer, target} = training;
    const {network} = page.model;
    const {delay, task: kind} = trainer.settings;
    setText(task, pagePhrase(page, "training.tasks", {delay}).split("|")[kind === "echo" ? 1 : 0]);
    delayField.hidden = kind !== "echo";
    setText(play, pagePhrase(page, "training.train").split("|")[training.isBusy() ? 1 : 0]);
    play.classList.toggle("busy", training.isBusy());
    next.disabled = training.isBusy() || trainer.at === MOST_UPDATES;
    const {value} = outputError(network, target);
    const shown = Number.isFinite(value) ? figure(value) : pagePhrase(page, "training.too large");
    const changed = page.store.state.edits.length ? ` ${pagePhrase(page, "training.changed")}` : "";
    setText(error, pagePhrase(page, "training.error", {update: trainer.at, error: shown}) + changed);
    plots.replaceChildren(...lanes(page, training));
    const isTop = page.store.state.level === "overview"; // else Escape leads up
    for (const {open, firstElementChild: summary} of panels)
      if (summary) setAttributes(summary, {"aria-keyshortcuts": open && isTop && "Escape"});
    if (panels[0].open) keepFocus(parts, () => parts.replaceChildren(...updateParts(page, trainer)));
  }
  const stop = () => document.hidden && training.isBusy() && toggle();
  document.addEventListener("visibilitychange", stop, {signal: page.closed});
  page.store.show(() => {
    training.follow();
    draw();
  });
  return el(
    "div",
    {class: "training"},
    task,
    el("p", {class: "controls"}, play, next, update),
    error,
    plots,
    ...panels,
  );
}
