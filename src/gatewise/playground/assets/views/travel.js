/** Numbers that travel over the stage while it plays, from where they are computed to where they are used. */
import {svg} from "./dom.js";
import {compact} from "../engine/figures.js";

const STAGE = 450; // milliseconds of one stage of the way
const LEGS = /** @type {const} */ ([
  // What is carried from the step before, what flows together, what comes out: the stage of each.
  {stage: 0, pipe: "before", quantity: "c"},
  {stage: 0, pipe: null, quantity: "h"},
  {stage: 1, pipe: "kept", quantity: "c"},
  {stage: 1, pipe: "written", quantity: "g"},
  {stage: 2, pipe: "output", quantity: "h"},
]);

/** The corners of a path. @param {string} path @returns {number[][]} */
function cornersOf(path) {
  let [x, y] = [0, 0];
  return [...path.matchAll(/([MHV])([\d.]+)(?: ([\d.]+))?/g)].map(([, kind, first, second]) => {
    if (kind !== "V") x = Number(first);
    if (kind !== "H") y = Number(kind === "M" ? second : first);
    return [x, y];
  });
}

/** The way of a number: along its pipe, or along the line that leads back. @param {Layout} layout
 * @param {"before" | "kept" | "written" | "output" | null} pipe */
function wayOf({pipes, sources, tank}, pipe) {
  const [start] = cornersOf(pipes.before);
  const cell = [tank.x + tank.width / 2, start[1]];
  if (pipe === null) return cornersOf(sources.recurrent).slice(0, -1);
  if (pipe === "before") return [cell, [start[0] + 30, start[1]]];
  return pipe === "output" ? [cell, ...cornersOf(pipes.output).slice(1)] : cornersOf(pipes[pipe]);
}

/** @param {Layout} layout */
export function travelMarks(layout) {
  const element = svg("g", {class: "travellers", "aria-hidden": "true"});
  const isStill = matchMedia("(prefers-reduced-motion: reduce)");
  return {
    element,
    /** Let the numbers of a step travel. @param {Flow} flow @param {number | null} recurrent the hidden state before
     * @param {(...names: string[]) => boolean} asked */
    send(flow, recurrent, asked) {
      element.replaceChildren();
      if (isStill.matches) return;
      for (const {stage, pipe, quantity} of LEGS) {
        const {value, tells} = pipe ? flow.pipes[pipe] : {value: recurrent, tells: [flow.names.recurrent]};
        if (value === null || asked(...tells)) continue;
        const text = svg("text", {class: `traveller quantity-${quantity}`, "text-anchor": "middle"}, compact(value));
        const places = wayOf(layout, pipe).map(([x, y]) => `translate(${x}px,${y + 6}px)`);
        const on = places.map((transform, n) => ({
          transform,
          opacity: 1,
          offset: 0.1 + (0.8 * n) / (places.length - 1),
        }));
        const [first] = places;
        const frames = [{transform: first, opacity: 0}, ...on, {transform: places[places.length - 1], opacity: 0}];
        element.append(text);
        const trip = text.animate(frames, {duration: STAGE, delay: stage * STAGE, fill: "both", easing: "ease-in-out"});
        trip.onfinish = () => text.remove();
      }
    },
    stop: () => element.replaceChildren(),
  };
}
