/** The next update, opened: weight, gradient, step and new weight of the numbers that it changes most. */
import {figure} from "../engine/figures.js";
import {el} from "./dom.js";
import {linkTo} from "./number_controls.js";
import {pagePhrase} from "./phrases.js";
import {isAnswered} from "./visibility.js";

const ROWS = 12;

/** @param {Page} page @param {import("../engine/training.js").Trainer} trainer */
export function updateParts(page, trainer) {
  const {answer} = page.store.state;
  const {rate, optimiser} = trainer.settings;
  const {after, gradient, norm, share} = trainer.update();
  const steps = after.weights.map((weight, n) => weight - trainer.weights[n]);
  const refs = trainer.parameters.flatMap(({layer, direction, name, shape, size}) =>
    Array.from({length: size}, (_, n) => {
      const at = shape.length < 2 ? [n] : [Math.floor(n / shape[1]), n % shape[1]];
      return {layer, direction, name, step: null, at};
    }),
  );
  const largest = [...refs.keys()].sort((first, second) => Math.abs(steps[second]) - Math.abs(steps[first]));
  const isAsked = answer !== null && !answer.shown && !isAnswered(answer); // the chapters ask for what follows
  const columns = pagePhrase(page, "training.columns").split("|");
  const clipping = {norm: figure(norm, 4), share: isAsked ? "?" : figure(share, 4), rate};
  return [
    el("p", {}, pagePhrase(page, "training.rule", clipping).split("|")[optimiser === "adam" ? 0 : 1]),
    el(
      "table",
      {},
      el("tr", {}, ...columns.map(name => el("th", {scope: "col"}, name))),
      ...largest.slice(0, ROWS).map(n => {
        const numbers = [trainer.weights[n], gradient[n], steps[n], after.weights[n]].map(value => figure(value, 6));
        const cells = numbers.map((text, column) => el("td", {class: "number"}, isAsked && column > 1 ? "?" : text));
        return el("tr", {}, el("th", {scope: "row"}, linkTo(page, refs[n])), ...cells);
      }),
    ),
  ];
}
