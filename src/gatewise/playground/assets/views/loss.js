/** The backward pass: what the loss is, and how its gradient lives along the cell state. */
import {isHidden} from "./visibility.js";
import {largestSize} from "../engine/arrays.js";
import {decadesFor, onDecades} from "./colours.js";
import {button, choiceList, el, reveal} from "./dom.js";
import {keepFocus} from "./edits.js";
import {directPath} from "../engine/gradient_path.js";
import {figure, percent} from "../engine/figures.js";
import {nameAlong, symbolElement, typeset, unitWords} from "./detail.js";
import {pagePhrase, phraseNodes} from "./phrases.js";
import {stepName} from "./quantities.js";
import {lane} from "./timeline.js";

/** The possible losses: entries of every cell's h, and the outputs. @param {Page} page */
function lossPlaces(page) {
  const {doc, model} = page;
  const cells = model.layers.flatMap(({cells: directions}, layer) =>
    directions.map((cell, direction) => ({
      of: /** @type {"h"} */ ("h"),
      layer,
      direction,
      units: Array.from({length: cell.recurrent}, (_, k) => nameAlong(model, {layer, direction}, "recurrent", k)),
      words: stateWords(page, layer, directions.length > 1 ? cell.direction : null),
    })),
  );
  if (!model.hasHead) return cells;
  const head = {layer: model.layers.length, direction: 0, units: model.outputs};
  const output = {...head, of: /** @type {"y"} */ ("y"), words: pagePhrase(page, "loss.output")};
  if (!doc.own?.includes("rate")) return [output, ...cells];
  return [{...head, of: /** @type {"error"} */ ("error"), words: pagePhrase(page, "training.loss")}, output, ...cells];
}

/** The hidden state of a layer in words. @param {Page} page @param {number} layer @param {string | null} direction */
function stateWords(page, layer, direction) {
  const state = page.model.layers.length > 1 ? pagePhrase(page, "loss.layer", {layer}) : "h";
  return direction === null ? state : `${state}, ${pagePhrase(page, `cells.${direction}`)}`;
}

/** @param {Page} page @param {NumberLoss} loss */
function placeOfLoss(page, loss) {
  const places = lossPlaces(page);
  return Math.max(
    0,
    places.findIndex(
      ({of, layer, direction}) =>
        of === loss.of && (of !== "h" || (layer === loss.layer && direction === loss.direction)),
    ),
  );
}

/** The loss in one sentence. @param {Page} page @param {NumberLoss} loss */
function lossSentence(page, loss) {
  const place = lossPlaces(page)[placeOfLoss(page, loss)];
  if (loss.of === "error") return pagePhrase(page, "loss.error", {of: place.words});
  const unit = place.units[loss.unit] ?? pagePhrase(page, "entry.unit", {unit: loss.unit});
  const put = {of: place.words, unit, step: stepName(page, loss.step)};
  return pagePhrase(page, place.of === "y" ? "loss.of output" : "loss.state", put);
}

/** The loss, to be chosen, and its gradient along the cell state. @param {Page} page */
export function lossView(page) {
  const choice = el("div");
  const along = el("div");
  const root = el("div", {class: "loss-view"}, choice, along);
  page.store.show((state, previous) => {
    reveal(root, state.backward);
    if (!state.backward) return along.replaceChildren();
    keepFocus(choice, () => choice.replaceChildren(chooser(page, state)));
    if (page.settled) keepFocus(along, () => along.replaceChildren(...alongTime(page, state)));
    else if (!along.childElementCount) along.append(el("p", {class: "soft"}, pagePhrase(page, "loss.computing")));
    if (state !== previous && state.loss !== previous.loss) page.say(lossSentence(page, state.loss));
  }, true);
  return root;
}

/** @param {Page} page @param {State} state */
function chooser(page, state) {
  const {model, store} = page;
  const {loss} = state;
  const places = lossPlaces(page);
  const chosen = placeOfLoss(page, loss);
  /** @param {Partial<NumberLoss>} part */
  const choose = part => store.change({loss: {...store.state.loss, ...part}});
  /** @param {string} part */
  const named = part => ({"data-key": `loss ${part}`, "aria-label": pagePhrase(page, `loss.${part}`)});
  const words = places.map(place => place.words);
  const of = choiceList(named("of"), words, place => {
    const {of: kind, layer, direction, units} = places[place];
    choose({of: kind, layer, direction, unit: Math.min(store.state.loss.unit, units.length - 1)});
  });
  of.value = String(chosen);
  const unit = choiceList(named("unit"), places[chosen].units, place => choose({unit: place}));
  unit.value = String(loss.unit);
  const last = model.steps - 1;
  const step = el("input", {...named("step"), type: "number", min: 0, max: last, value: loss.step});
  const why = el("span", {class: "why", role: "status"});
  step.addEventListener("change", () => {
    if (step.value && step.validity.valid) return choose({step: Number(step.value)});
    why.textContent = pagePhrase(page, "loss.range", {last, step: store.state.loss.step});
  });
  const take = pagePhrase(page, "loss.take", {step: stepName(page, state.step)});
  const isHere = state.step === loss.step || loss.of === "error";
  const here = isHere ? null : button(() => choose({step: state.step}), {"data-key": "loss here"}, take);
  const whole = loss.of === "error" ? "loss.error" : "loss.chooser";
  return el(
    "div",
    {},
    el("h2", {class: "visually-hidden"}, pagePhrase(page, "loss.title")),
    el("p", {class: "loss-chooser"}, ...phraseNodes(page, whole, {of, unit, step}), " ", here, why),
    el("p", {class: "soft"}, pagePhrase(page, "loss.meaning")),
  );
}

/** The gradient along c, and under it what the direct way leaves.
 * @param {Page} page @param {State} state */
function alongTime(page, state) {
  const {model, store} = page;
  const {layer, direction, unit} = state;
  if (model.steps < 2) return [];
  const place = {layer, direction};
  const path = directPath(model, place, unit);
  const name = unitWords(model, place, unit);
  if (!path) return [el("p", {}, withoutPath(page, state, name))];
  const choose = (/** @type {number} */ step) => store.change({step, playing: false});
  /** @param {string} quantity */
  const symbol = quantity => symbolElement(model.quantity({...place, name: quantity}));
  if (path.gradient.some((_, step) => isHidden(state, {...place, name: path.name, step, at: [unit]}))) {
    return [el("p", {class: "soft"}, pagePhrase(page, "loss.hidden"))];
  }
  const largest = Math.max(largestSize(path.gradient), largestSize(path.direct));
  const factors = path.factors.join(" · ");
  const words = pathSentence(page, path, factors);
  const heading = el("h3", {}, `${pagePhrase(page, "loss.along", {unit: name})} `, scaleButton(page, state));
  const sizes = [...path.gradient, ...path.direct].map(Math.abs).filter(size => size > 0);
  const decades = decadesFor(
    largest,
    sizes.reduce((least, size) => Math.min(least, size), largest),
  );
  /** @param {Float64Array} values */
  const onScale = values => (state.logarithmic ? values.map(value => onDecades(value, largest, decades)) : values);
  const axis = {largest: state.logarithmic ? 1 : largest, step: state.step, choose};
  const label = pagePhrase(page, "loss.label", {gradient: path.name, unit: name, sentence: words});
  const directLabel = pagePhrase(page, "loss.direct", {factors});
  const symbols = path.factors.flatMap((factor, k) => [k ? " · " : "", symbol(factor)]);
  const product = phraseNodes(page, "loss.product", {factors: symbols});
  return [
    el(
      "figure",
      {class: "along"},
      heading,
      lane([symbol(path.name)], {...axis, values: onScale(path.gradient), kind: "gradient", label}),
      lane(product, {...axis, values: onScale(path.direct), kind: "direct", label: directLabel}),
      timeAxis(page),
      el(
        "figcaption",
        {},
        state.logarithmic ? `${logarithmicNote(page, decades)} ` : "",
        ...typeset(page, place, words),
      ),
    ),
  ];
}

/** A button that turns the logarithmic scale of gradients on and off. @param {Page} page @param {State} state */
export function scaleButton(page, {logarithmic}) {
  const turn = () => page.store.change({logarithmic: !page.store.state.logarithmic});
  const attributes = {class: "scale", "data-key": "scale", "aria-pressed": String(logarithmic)};
  return button(turn, attributes, pagePhrase(page, "scale.button"));
}

/** Why there is no gradient to show. @param {Page} page @param {State} state @param {string} name */
function withoutPath(page, {layer, direction, unit, step}, name) {
  const {model} = page;
  const place = {layer, direction};
  const isNone = Number.isNaN(model.value({...place, name: model.roles(place).cell_gradient, step})[unit]);
  return pagePhrase(page, isNone ? "loss.no number" : "loss.none", {unit: name});
}

/** What a logarithmic scale shows. @param {Page} page @param {number} decades */
export function logarithmicNote(page, decades) {
  return pagePhrase(page, "scale.note", {decades});
}

/** @param {Page} page */
function timeAxis(page) {
  return el(
    "div",
    {class: "lane axis", "aria-hidden": "true"},
    el("span", {class: "lane-name"}, pagePhrase(page, "strip.step")),
    el("span", {class: "ends"}, el("span", {}, "0"), el("span", {}, String(page.model.steps - 1))),
  );
}

/** @param {Page} page @param {GradientPath} path @param {string} factors */
function pathSentence(page, path, factors) {
  const {from, to, gradient, direct} = path;
  if (from === to) return pagePhrase(page, "loss.alone", {step: stepName(page, from)});
  const left = direct[to] / direct[from];
  const share = gradient[to] / gradient[from];
  const same = Math.abs(share - left) <= 0.02 * Math.max(Math.abs(share), Math.abs(left));
  const put = {
    from: stepName(page, from),
    to: stepName(page, to),
    first: figure(gradient[from], 4),
    last: figure(gradient[to], 4),
    left: figure(left, 4),
    factors,
  };
  if (!Number.isFinite(share) || !Number.isFinite(left)) return pagePhrase(page, "loss.unfinite", put);
  return same
    ? pagePhrase(page, "loss.exactly", {...put, share: percent(share, page.doc.phrases.percent)})
    : pagePhrase(page, "loss.partly", {...put, share: figure(share, 4)});
}
