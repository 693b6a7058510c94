/** The settings of a training: what each may be, its text in the address, and its field. */
import {MOST_UPDATES} from "../engine/training.js";
import {el, setText} from "./dom.js";
import {pagePhrase} from "./phrases.js";

/** By their names in the address. The phrase is the label, and labels of the choices if there are any.
 * @type {Record<string, {words: string, text: string, choices?: string[], range?: Record<string, string | number>}>} */
const SETTINGS = {
  task: {words: "training.task", text: "latch", choices: ["latch", "echo"]},
  delay: {words: "training.delay", text: "10", range: {type: "number", min: 1, max: 30}},
  optimiser: {words: "training.optimiser", text: "adam", choices: ["adam", "descent"]},
  rate: {words: "training.rate", text: "0.02", range: {type: "number", min: 1e-6, max: 1e6, step: "any"}},
  clip: {words: "training.clip", text: "0", range: {type: "number", min: 0, max: 1e6, step: "any"}},
  bias: {words: "training.bias", text: "1", range: {type: "range", min: -4, max: 6, step: 0.5}},
  seed: {words: "training.seed", text: "1", range: {type: "number", min: 0, max: 999_999}},
  sequence: {words: "training.sequence", text: "probe", choices: ["probe", "next"]},
  update: {words: "training.update", text: "0", range: {type: "range", min: 0, max: MOST_UPDATES}},
};

/** Change settings in the state: others than the update begin anew. What is as the page was made is left out.
 * @param {Page} page @param {Record<string, string>} change */
export function changeSettings({store}, change) {
  const begins = "update" in change || "sequence" in change ? {} : {update: "0"};
  const all = Object.entries({...store.state.own, ...begins, ...change});
  store.change({own: Object.fromEntries(all.filter(([name, text]) => text !== SETTINGS[name].text))});
}

/** The fields of all settings, and a function that reads them from the state. @param {Page} page */
export function settingFields(page) {
  const fields = Object.keys(SETTINGS).map(name => settingField(page, name));
  /** @returns {{settings: TrainingSettings, update: number, sequence: string}} */
  const read = () => {
    const {update, sequence, ...settings} = Object.fromEntries(fields.map(field => field.read()));
    return {settings, update, sequence};
  };
  return {elements: fields.map(({element}) => element), read};
}

/** A number as it is written in a sentence; other text as it is. @param {Page} page @param {string | number} value */
function written(page, value) {
  const digits = /^\d{4,}$/.test(`${value}`) ? /\B(?=(\d{3})+$)/g : "";
  return `${value}`.replace(digits, digits && pagePhrase(page, "training.thousands")).replace("-", "\u2212");
}

/** What a setting may be. @param {Page} page @param {string} name */
function allowedText(page, name) {
  const {choices, range: {min = "", max = "", step = ""} = {}} = SETTINGS[name];
  const put = {list: choices?.join(", ") ?? "", min: written(page, min), max: written(page, max), step};
  const kind = choices ? 0 : step === "any" ? 3 : step ? 2 : 1;
  return pagePhrase(page, "training.allowed", put).split("|")[kind];
}

/** A field with its label. What the setting cannot be is refused in a sentence. @param {Page} page @param {string} name */
function settingField(page, name) {
  const {words, text: original, choices, range} = SETTINGS[name];
  const [label, ...labels] = pagePhrase(page, words).split("|");
  const field = choices
    ? el("select", {}, ...choices.map((value, n) => el("option", {value}, labels[n])))
    : el("input", range);
  const shown = el("span", {class: "number"});
  const now = () => page.store.state.own[name] ?? original;
  let taken = /** @type {string | null} */ (null);
  /** Show a text and put it into the state; one that cannot be the setting gives way. @param {string} text
   * @param {string} stays */
  const take = (text, stays) => {
    field.value = text;
    if (choices ? field.value !== text : !field.validity.valid || Number(field.value) !== Number(text || NaN)) {
      const given = {name: label.split(/[:(]/)[0].trim(), text: text.slice(0, 20) || "?", now: written(page, stays)};
      page.tell(pagePhrase(page, "training.refused", {...given, allowed: allowedText(page, name)}));
      field.value = stays;
    }
    taken = range ? String(Number(field.value)) : field.value; // each number has one text
    setText(shown, range?.type === "range" ? taken : "");
    if (taken !== now()) changeSettings(page, {[name]: taken});
  };
  field.addEventListener("input", () => page.tell(""));
  field.addEventListener(range?.type === "range" ? "input" : "change", () => take(field.value, now()));
  const read = () => {
    if (now() !== taken) take(now(), original);
    return [name, choices ? taken : Number(taken)];
  };
  return {element: el("label", {}, label, field, shown), read};
}
