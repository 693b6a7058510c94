/** The row of buttons under the strip: step, play, unit, level, and back to the original. */
import {button, el, keyButton, setText, svg} from "./dom.js";
import {sameEdits} from "./hash.js";
import {moveStep, moveUnit} from "./levels.js";
import {unitWords} from "./detail.js";
import {pagePhrase} from "./phrases.js";
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
  const attributes = {class: "icon", "aria-label": label, "aria-keyshortcuts": key, title: `${label} (${sign})`};
  return button(press, attributes, svg("svg", {viewBox: "0 0 16 16", "aria-hidden": "true"}, iconPath(icon)));
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
  const back = iconButton("back", pagePhrase(page, "player.back"), "ArrowLeft", "←", () => moveStep(page, -1));
  const playWords = el("span");
  const playIcon = iconPath("play");
  const play = button(
    togglePlay,
    {class: "primary play", "aria-keyshortcuts": "Space"},
    svg("svg", {viewBox: "0 0 16 16", "aria-hidden": "true"}, playIcon),
    playWords,
  );
  const on = iconButton("on", pagePhrase(page, "player.on"), "ArrowRight", "→", () => moveStep(page, 1));
  const above = iconButton("above", pagePhrase(page, "player.above"), "ArrowUp", "↑", () => moveUnit(page, -1));
  const below = iconButton("below", pagePhrase(page, "player.below"), "ArrowDown", "↓", () => moveUnit(page, 1));
  const original = keyButton("Backspace", "⌫", () => store.change({edits: store.state.premise}));
  const where = el("span", {class: "where"});
  const date = el("span", {class: "where soft"});
  const unit = el("span", {class: "where"});
  const units = el("span", {class: "group"}, above, below, unit);
  const element = el(
    "div",
    {class: "player", role: "group", "aria-label": pagePhrase(page, "player.title")},
    play,
    el("span", {class: "group"}, back, on, where, date),
    units,
    original.button,
  );
  for (const control of [back, play, on]) control.hidden = model.steps === 1;
  keepPlaying(page);
  store.show(state => {
    const cell = model.layers[state.layer].cells[state.direction];
    const key = model.steps > 1 ? "player.step of" : "quantities.step";
    setText(where, pagePhrase(page, key, {step: state.step, last: model.steps - 1}));
    setText(date, whenWords(page, state.step));
    setText(unit, unitWords(model, state, state.unit));
    units.hidden = cell.hidden < 2;
    setText(playWords, pagePhrase(page, state.playing ? "player.pause" : "player.play"));
    playIcon.setAttribute("d", ICONS[state.playing ? "pause" : "play"]);
    back.setAttribute("aria-disabled", String(state.step === 0));
    on.setAttribute("aria-disabled", String(state.step === model.steps - 1));
    original.button.hidden = sameEdits(state.edits, state.premise);
    setText(original.words, pagePhrase(page, state.premise.length ? "player.premise" : "player.original"));
  });
  return element;
}
