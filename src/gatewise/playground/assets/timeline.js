/** Numbers along time as an area on either side of nothing. */
import {svg} from "./dom.js";

const LINE_WIDE = 1000;
const LINE_HIGH = 56;

/** A path from nothing to the values and back, of those on one side. @param {Float64Array} values
 * @param {(value: number) => number} up @param {1 | -1} side */
function sidePath(values, up, side) {
  const wide = LINE_WIDE / values.length;
  let path = `M0 ${up(0).toFixed(2)}`;
  values.forEach((value, step) => {
    const shown = Number.isFinite(value) && value * side > 0 ? value : 0;
    path += `V${up(shown).toFixed(2)}H${((step + 1) * wide).toFixed(2)}`;
  });
  return `${path}V${up(0).toFixed(2)}Z`;
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
