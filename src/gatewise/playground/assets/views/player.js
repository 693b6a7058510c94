/** The row of buttons under the strip: step, play, unit, level, and back to the original. */
import {el, setAttributes, setText, svg} from "./dom.js";
import {sameEdits} from "./hash.js";
import {descend, moveStep, moveUnit} from "./levels.js";
import {unitWords} from "./detail.js";
import {whenWords} from "./quantities.js";

const SLOW = 1600; // milliseconds: long enough to read the sentence of a step
const QUICK = 120;
const FEW_STEPS = 24;

/** @type {Record<string, string>} */
const ICONS = {
  back: "M11 3 4 8l7 5z",
  on: "M5 3l7 5-7 5z",
  play: "M4 2.5 13 8l-9 5.5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  above: "M3 11l5-7 5 7z",
  below: "M3 5l5 7 5-7z",
};

/** @param {string} name */
function iconPath(name) {
  return svg("path", {d: ICONS[name]});
}

/** @param {string} icon @param {string} label @param {string} key @param {string} sign @param {() => void} press */
function iconButton(icon, label, key, sign, press) {
  return el(
    "button",
    {
      type: "button",
      class: "icon",
      "aria-label": label,
      "aria-keyshortcuts": key,
      title: `${label} (${sign})`,
      onclick: press,
    },
    svg("svg", {viewBox: "0 0 16 16", "aria-hidden": "true"}, iconPath(icon)),
  );
}

/** @param {string} key @param {string} sign @param {() => void} press */
function wordButton(key, sign, press) {
  const words = el("span");
  const button = el(
    "button",
    {type: "button", "aria-keyshortcuts": key, onclick: press},
    words,
    " ",
    el("kbd", {"aria-hidden": "true"}, sign),
  );
  return {button, words};
}

/** The words for one level down. @param {State} state */
function downWords(state) {
  if (state.level === "overview") return `Open step ${state.step}`;
  if (state.level === "step") return `Open ${state.detail}`;
  return "Open its largest product";
}

/** Play: one step after another, and from the last on to the first. @param {Page} page */
function keepPlaying(page) {
  let timer = 0;
  page.closed.addEventListener("abort", () => clearTimeout(timer));
  const pause = page.model.steps <= FEW_STEPS ? SLOW : QUICK;
  page.store.show((state, previous) => {
    if (state !== previous && state.playing === previous.playing && state.step === previous.step) return;
    clearTimeout(timer);
    if (!state.playing) return;
    timer = setTimeout(() => page.store.change({step: (page.store.state.step + 1) % page.model.steps}), pause);
  });
}

/** @param {Page} page */
export function playerView(page) {
  const {model, store} = page;
  const togglePlay = () => store.change({playing: !store.state.playing});
  const back = iconButton("back", "A step back", "ArrowLeft", "←", () => moveStep(page, -1));
  const play = iconButton("play", "Play", "Space", "space", togglePlay);
  const on = iconButton("on", "A step on", "ArrowRight", "→", () => moveStep(page, 1));
  const above = iconButton("above", "The unit above", "ArrowUp", "↑", () => moveUnit(page, -1));
  const below = iconButton("below", "The unit below", "ArrowDown", "↓", () => moveUnit(page, 1));
  const down = wordButton("Enter", "Enter", () => descend(page));
  const original = wordButton("Backspace", "⌫", () => store.change({edits: store.state.premise}));
  const where = el("span", {class: "where"});
  const date = el("span", {class: "where soft"});
  const unit = el("span", {class: "where"});
  const units = el("span", {class: "group"}, above, below, unit);
  const element = el(
    "div",
    {class: "player", role: "group", "aria-label": "Steps and levels"},
    el("span", {class: "group"}, back, play, on, where, date),
    units,
    down.button,
    original.button,
  );
  const icon = play.querySelector("path");
  for (const button of [back, play, on]) button.hidden = model.steps === 1;
  keepPlaying(page);
  store.show(state => {
    const cell = model.layers[state.layer].cells[state.direction];
    setText(where, model.steps > 1 ? `step ${state.step} of 0–${model.steps - 1}` : `step ${state.step}`);
    setText(date, whenWords(page, state.step));
    setText(unit, unitWords(model, state, state.unit));
    units.hidden = cell.hidden < 2;
    setAttributes(play, {
      "aria-label": state.playing ? "Pause" : "Play",
      title: state.playing ? "Pause (space)" : "Play (space)",
    });
    icon?.setAttribute("d", ICONS[state.playing ? "pause" : "play"]);
    back.setAttribute("aria-disabled", String(state.step === 0));
    on.setAttribute("aria-disabled", String(state.step === model.steps - 1));
    down.button.hidden = state.level === "product";
    original.button.hidden = sameEdits(state.edits, state.premise);
    setText(original.words, state.premise.length ? "Back to what the chapter supposes" : "Back to the original");
    setText(down.words, downWords(state));
  });
  return element;
}
