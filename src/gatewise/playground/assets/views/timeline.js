/** Numbers along time as an area on either side of nothing. */
import {el, svg} from "./dom.js";

const LINE_WIDE = 1000;
const LINE_HIGH = 56;
export const BETWEEN = 12; // pixels from one label to the next

/** A distance between marked steps or rows that leaves room for their names. @param {number} least */
export function roundDistance(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map(factor => factor * power).find(distance => distance >= least) ?? 10 * power;
}

/**
 * The labels along time that touch no other, and the middle of each: that of the chosen step, then those of round steps.
 * @param {{first: number, count: number, cell: number, total: number, chosen: number, widthOf: (step: number) => number}} axis
 *   the steps that are seen, the pixels of each and of all, and those of a label
 */
export function labelPlaces({first, count, cell, total, chosen, widthOf}) {
  const placeOf = (/** @type {number} */ step) => {
    const half = widthOf(step) / 2;
    return {step, half, middle: Math.max(half, Math.min(total - half, (step + 0.5) * cell))};
  };
  const places = [placeOf(chosen)];
  const every = roundDistance((widthOf(first + count - 1) + BETWEEN) / cell);
  for (let step = Math.ceil(first / every) * every; step < first + count; step += every) {
    const label = placeOf(step);
    const isFree = places.every(({half, middle}) => Math.abs(middle - label.middle) >= half + label.half + BETWEEN);
    if (isFree) places.push(label);
  }
  return places;
}

/** A path from nothing to the values and back, of those on one side; where several share a place, to the largest of
 * them. @param {Float64Array} values @param {(value: number) => number} up @param {1 | -1} side */
export function sidePath(values, up, side) {
  const places = Math.min(values.length, LINE_WIDE);
  let path = `M0 ${up(0).toFixed(2)}`;
  for (let place = 0, step = 0; place < places; place += 1) {
    let extreme = 0;
    for (const end = Math.ceil(((place + 1) * values.length) / places); step < end; step += 1) {
      if (Number.isFinite(values[step])) extreme = Math.max(extreme, side * values[step]);
    }
    path += `V${up(side * extreme).toFixed(2)}H${(((place + 1) * LINE_WIDE) / places).toFixed(2)}`;
  }
  return `${path}V${up(0).toFixed(2)}Z`;
}

/** A timeline behind its name. @param {Child[]} name @param {Parameters<typeof timeline>[0]} what */
export function lane(name, what) {
  return el("div", {class: "lane"}, el("span", {class: "lane-name"}, ...name), timeline(what));
}

/**
 * @param {{values: Float64Array, largest: number, step: number, label: string, kind?: string,
 *   choose?: (step: number) => void}} what
 */
export function timeline({values, largest, step, label, kind = "", choose}) {
  const signed = values.some(value => value < 0);
  const [low, high] = [signed ? -largest : 0, largest];
  const up = (/** @type {number} */ value) =>
    2 + (LINE_HIGH - 4) * (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low || 1));
  const wide = LINE_WIDE / values.length;
  const mark = svg(
    "svg",
    {
      class: `timeline ${kind}`.trim(),
      viewBox: `0 0 ${LINE_WIDE} ${LINE_HIGH}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    svg("rect", {class: "now", x: step * wide, y: 0, width: Math.max(wide, 2), height: LINE_HIGH}),
    svg("path", {class: "above", d: sidePath(values, up, 1)}),
    signed ? svg("path", {class: "below", d: sidePath(values, up, -1)}) : null,
    svg("rect", {class: "now-edge", x: step * wide, y: 0.5, width: Math.max(wide, 2), height: LINE_HIGH - 1}),
    svg("path", {class: "base", d: `M0 ${up(0).toFixed(2)}H${LINE_WIDE}`}),
  );
  if (choose) {
    mark.addEventListener("click", event => {
      const {left, width} = mark.getBoundingClientRect();
      choose(Math.min(values.length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * values.length))));
    });
  }
  return mark;
}
