/** Where nothing of a model is open yet: a tour, each stop with a sentence and a button that leads there. */
import {percent} from "../engine/figures.js";
import {unitWords} from "./detail.js";
import {button, el, reveal, setText} from "./dom.js";
import {pagePhrase} from "./phrases.js";
import {stepName} from "./quantities.js";

const MOST_NUMBERS = 2e6; // gates of all steps and units that the tour looks at

/** What stands out in the first cell: the unit whose forget gate is most open, and the step at which it changes most.
 * @param {Page} page */
function highlights({model}) {
  const place = {layer: 0, direction: 0};
  const {forget_gate: f, cell_state: c} = model.roles(place);
  const {hidden} = model.cell(place);
  if (hidden * model.steps > MOST_NUMBERS) return null;
  const steps = Array.from({length: model.steps}, (_, step) => step).filter(step => model.wiring.valid?.[step] !== 0);
  const open = Array.from({length: hidden}, () => 0);
  for (const step of steps) {
    const gates = model.value({...place, name: f, step});
    for (let unit = 0; unit < hidden; unit++) open[unit] += gates[unit] / steps.length;
  }
  const unit = open.indexOf(Math.max(...open));
  if (unit < 0) return null; // they are no numbers
  const states = steps.map(step => model.value({...place, name: c, step})[unit]);
  const changes = states.map((state, n) => Math.abs(state - (states[n - 1] ?? state)));
  const at = changes.indexOf(Math.max(...changes));
  return {unit, open: open[unit], step: steps[Math.max(0, at)]};
}

/** @param {Page} page */
export function tourView(page) {
  const {store, model} = page;
  const {cell_state: c, cell_gradient: dc} = model.roles({layer: 0, direction: 0});
  /** @type {ReturnType<typeof highlights>} */
  let found = null;
  const first = {layer: 0, direction: 0, playing: false};
  /** @type {[string, () => Partial<State>][]} */
  const ways = [
    ["strip", () => ({...first, quantity: c})],
    ["unit", () => ({...first, unit: found?.unit ?? 0})],
    ["step", () => ({...first, unit: found?.unit ?? 0, step: found?.step ?? 0, level: "step"})],
    ["backward", () => ({backward: true, quantity: dc, detail: dc, product: null})],
  ];
  const stops = ways.map(([key, to]) => {
    const sentence = el("p", {});
    const press = button(() => store.change(to()), {}, pagePhrase(page, `tour.to ${key}`));
    return {key, sentence, element: el("li", {}, sentence, press)};
  });
  const title = pagePhrase(page, "tour.title");
  const {file} = /** @type {Partial<SceneDocument>} */ (page.doc);
  const element = el(
    "div",
    {class: "tour"},
    el("h2", {}, title),
    file ? el("p", {class: "soft"}, file) : null,
    el("ol", {}, ...stops.map(stop => stop.element)),
  );
  const place = document.getElementById("margin");
  const label = place?.getAttribute("aria-label") ?? "";
  place?.setAttribute("aria-label", title);
  page.closed.addEventListener("abort", () => place?.setAttribute("aria-label", label));
  store.show(state => {
    reveal(element, state.level === "overview" && !state.backward);
    if (!page.settled || state.level !== "overview") return;
    found = highlights(page);
    for (const {key, sentence, element: stop} of stops) {
      stop.hidden = found === null && ["unit", "step"].includes(key);
      const put = found && {
        unit: unitWords(model, first, found.unit),
        open: percent(found.open, page.doc.phrases.percent),
        step: stepName(page, found.step),
      };
      setText(sentence, pagePhrase(page, `tour.${key}`, put ?? {}));
    }
  }, true);
  return element;
}
