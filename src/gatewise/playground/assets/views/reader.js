/** What the reading cell reads: a field to type in, and its letters, coloured by the cell state of the chosen unit. */
import {isOfAnyText} from "./chapter_start.js";
import {colourOf} from "./colours.js";
import {el, setText} from "./dom.js";
import {figure} from "../engine/figures.js";
import {pagePhrase} from "./phrases.js";
import {isHidden} from "./visibility.js";

const MOST = 200; // letters
let frame = 0;

/** The letters of a text that are read: the first ones. @param {string} text */
function lettersOf(text) {
  return [...text.replace(/\p{Surrogate}/gu, "\ufffd")].slice(0, MOST);
}

/** A letter as it is named. @param {string} letter */
function named(letter) {
  return /\s/.test(letter) ? "␣" : letter;
}

/** The document of a scene whose cell reads another text than its own. @param {SceneDocument} doc
 * @param {string | undefined} text @returns {SceneDocument} */
export function readingDocument(doc, text) {
  const {reads} = doc;
  if (!reads || text === undefined || text === reads.text) return doc;
  const letters = lettersOf(text);
  const read = letters.length ? letters : [" "];
  const tokens = read.map(letter => {
    const plain = [...letter.normalize("NFD")][0].toLowerCase();
    return reads.letters.indexOf(reads.alike[plain] ?? plain.replace(/\s/, " ")) + 1;
  });
  const labels = {...doc.labels, times: read.map(named)};
  return {...doc, inputs: {...doc.inputs, x: tokens}, labels, reads: {...reads, text: letters.join("")}};
}

/** Draw the page anew on another text, at a step; edits of the weights stay.
 * @param {Page} page @param {string} text @param {number} step */
function read({doc, lesson, store}, text, step) {
  const {state} = store;
  const scene = /** @type {SceneDocument} */ (lesson?.scenes.find(one => one.scene === doc.scene));
  /** @type {Record<string, string>} */
  const own = text === scene.reads?.text ? {} : {text};
  const chapter = isOfAnyText({doc}, state.chapter) ? state.chapter : null;
  const asking = chapter !== null && state.answer?.right ? {} : {chapter, answer: null, premise: []};
  const edits = state.edits.filter(({ref}) => ref.step === null);
  lesson?.enter(
    scene.scene,
    ({model: {steps}}) => ({...state, ...asking, own, edits, loss: {...state.loss, step: steps - 1}, step}),
    readingDocument(scene, text),
  );
}

/** The field and the letters. Their element stays from text to text, so that who types goes on typing.
 * @param {Page} page @returns {Element} */
export function readerView(page) {
  const text = page.doc.reads?.text ?? "";
  const id = "reader-text";
  const type = pagePhrase(page, "reader.type", {most: MOST});
  const parts = [el("label", {for: id}, type), el("textarea", {id, rows: 2, spellcheck: "false"})];
  const texts = ["letters", "expected"].map(name => el("p", {class: name, dir: name === "letters" && "ltr"}));
  const element = document.querySelector(".reader") ?? el("div", {class: "reader"}, ...parts, ...texts);
  const [, field, letters, expected] = /** @type {HTMLElement[]} */ ([...element.children]);
  if (!(field instanceof HTMLTextAreaElement)) return element;
  if (field.value !== text) field.value = text;
  field.oninput = () => {
    cancelAnimationFrame(frame); // letters that come faster are read together
    frame = requestAnimationFrame(() => {
      const before = lettersOf(field.value.slice(0, field.selectionStart)).length;
      if (!page.closed.aborted) read(page, lettersOf(field.value).join(""), Math.max(0, before - 1));
    });
  };
  letters.onclick = ({target}) => {
    const step = [...letters.children].indexOf(/** @type {Element} */ (target));
    if (step >= 0) page.store.change({step, playing: false});
  };
  page.store.show(({unit, step}) => {
    colourLetters(page, letters, lettersOf(text));
    const after = {unit, letter: named([...text][step] ?? " "), letters: likeliest(page, step).join(", ")};
    setText(expected, pagePhrase(page, "reader.expected", after));
  }, true);
  return element;
}

/** Write letters, each on the colour of the chosen unit's cell state once it was read.
 * @param {Page} page @param {HTMLElement} place @param {string[]} text */
function colourLetters({model, store}, place, text) {
  const {step, unit, layer, direction} = store.state;
  const ref = {layer, direction, name: model.roles({layer, direction}).cell_state, at: [unit]};
  const states = model.series(ref).map((value, at) => (isHidden(store.state, {...ref, step: at}) ? Number.NaN : value));
  const high = Math.max(...states.map(value => Math.abs(value) || 0)) || 1;
  if (place.childElementCount !== text.length) place.replaceChildren(...text.map(() => el("span")));
  text.forEach((letter, at) => {
    const span = /** @type {HTMLElement} */ (place.children[at]);
    const colour = colourOf({name: "signed", low: -high, high, decades: 0}, states[at]);
    setText(span, letter);
    span.title = colour ? figure(states[at], 3) : "?";
    span.className = at === step ? "now" : "";
    span.style.setProperty("background-color", colour?.fill ?? "transparent");
    span.style.setProperty("color", colour?.ink ?? "inherit");
  });
}

/** The likeliest next letters with their shares. @param {Page} page @param {number} step */
function likeliest({model}, step) {
  const place = {layer: model.layers.length, direction: 0};
  const shares = model.value({...place, name: model.roles(place).output, step});
  const order = Array.from(shares, (_, n) => n).sort((first, second) => shares[second] - shares[first]);
  return order.slice(0, 3).map(n => `${model.outputs[n]}\u00a0${(100 * shares[n]).toFixed(0)}\u00a0%`);
}
