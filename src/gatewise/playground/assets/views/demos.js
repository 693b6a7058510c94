/** Small pictures in the text of a chapter: a memory that fades beside one that lasts, and the curve of a gate. */
import {el, setText, svg} from "./dom.js";
import {figure, percent} from "../engine/figures.js";
import {pagePhrase} from "./phrases.js";

const WEIGHT = 0.8; // of the plain unit's memory
const LONGEST_GAP = 40;
const FIRST_GAP = 12;
const WIDTH = 400;
const HEIGHT = 30;
const REACH = 8; // of the curve, to either side

/** What a plain recurrent unit and the LSTM hold after a bit and some steps without input. @param {Page} page */
function memories({model}) {
  const place = {layer: 0, direction: 0};
  const {cell_state: c, forget_gate: f} = model.roles(place);
  const first = model.number({...place, name: c, step: 0, at: [0]});
  const gate = model.number({...place, name: f, step: 1, at: [0]});
  const plain = [Math.tanh(1)];
  const lstm = [first];
  for (let step = 1; step <= LONGEST_GAP; step++) {
    plain.push(Math.tanh(WEIGHT * plain[step - 1]));
    lstm.push(gate * lstm[step - 1]);
  }
  return {plain, lstm};
}

/** One bar for each step. @param {Page} page @param {"plain" | "lstm"} key @param {number[]} values */
function memoryRow(page, key, values) {
  const name = pagePhrase(page, `demo.${key}`);
  const number = el("span", {class: "number"});
  const picture = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": pagePhrase(page, "demo.held", {name}),
  });
  return {
    element: el("div", {class: "memory"}, el("span", {class: "soft"}, name), picture, number),
    /** @param {number} gap */
    update(gap) {
      const width = WIDTH / (gap + 1);
      const bars = values.slice(0, gap + 1).map((value, n) => {
        const height = value * HEIGHT;
        const box = {x: n * width, y: HEIGHT - height, width: 0.85 * width, height};
        const bar = svg("rect", {class: `quantity-${key === "lstm" ? "c" : "h"}`, ...box});
        bar.style.setProperty("animation-delay", `${25 * n}ms`);
        return bar;
      });
      picture.replaceChildren(...bars);
      setText(number, figure(values[gap], 3));
    },
  };
}

/** A plain unit and the LSTM after the same bit; a slider sets how many steps ago it was. @param {Page} page */
function gapDemo(page) {
  const {plain, lstm} = memories(page);
  const rows = [memoryRow(page, "plain", plain), memoryRow(page, "lstm", lstm)];
  const steps = el("output", {class: "number"});
  const sentence = el("p", {class: "soft"});
  const slider = el("input", {type: "range", min: 1, max: LONGEST_GAP, value: FIRST_GAP, oninput: () => update()});
  function update() {
    const gap = Number(slider.value);
    setText(steps, `${gap}`);
    for (const row of rows) row.update(gap);
    const [left, kept] = [plain, lstm].map(values => percent(values[gap] / values[0], page.doc.phrases.percent));
    setText(sentence, pagePhrase(page, "demo.left", {gap, plain: left, lstm: kept}));
  }
  update();
  return el(
    "div",
    {class: "demo"},
    ...rows.map(({element}) => element),
    el("label", {class: "memory"}, el("span", {class: "soft"}, pagePhrase(page, "demo.gap")), slider, steps),
    sentence,
  );
}

/** The curve of σ with its ends. @param {Page} page */
function sigmoidDemo(page) {
  const [left, right, top, bottom] = [30, 370, 8, 62];
  const x = (/** @type {number} */ a) => left + ((a + REACH) / (2 * REACH)) * (right - left);
  const y = (/** @type {number} */ value) => bottom - value * (bottom - top);
  const places = Array.from({length: 65}, (_, n) => (n / 64 - 0.5) * 2 * REACH);
  const path = places.map(a => `${x(a).toFixed(1)} ${y(1 / (1 + Math.exp(-a))).toFixed(1)}`).join("L");
  const label = (/** @type {number} */ at, /** @type {number} */ down, /** @type {string} */ text) =>
    svg("text", {x: at, y: down, "text-anchor": "middle"}, text);
  return svg(
    "svg",
    {class: "demo sigmoid", viewBox: "0 0 400 84", role: "img", "aria-label": pagePhrase(page, "demo.sigmoid")},
    svg("path", {class: "axis", d: `M${left} ${y(0)}H${right}M${left} ${y(1)}H${right}M${x(0)} ${top}V${bottom}`}),
    svg("path", {class: "curve", d: `M${path}`}),
    ...[-6, 0, 6].map(a => label(x(a), 80, figure(a).replace("-", "−"))),
    label(14, y(0) + 5, "0"),
    label(14, y(1) + 5, "1"),
    label(x(0) + 28, y(0.5) + 5, "σ(a)"),
  );
}

/** The pictures by their names in the file of chapters. @type {Record<string, (page: Page) => Element>} */
export const DEMOS = {gap: gapDemo, sigmoid: sigmoidDemo};
