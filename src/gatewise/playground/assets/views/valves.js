/** Gates as valves: bars that are filled as far as they are open, and that can be dragged. */
import {setAttributes, svg} from "./dom.js";
import {figure, percent} from "../engine/figures.js";

/** @typedef {{open: number, label: string, stuck: boolean, asked: boolean, moving: boolean}} Datum */
/**
 * @typedef {object} Valve
 * @property {SVGGElement} element
 * @property {(datum: Datum) => void} update
 */

const BAR = 76; // of a bar, across its pipe
const BREADTH = 20;
const NOTCH = 0.05;

/**
 * A valve across a pipe, at the origin.
 * @param {{hue: string, upright: boolean, turn: (open: number, isLast: boolean) => void}} options @returns {Valve}
 */
export function valveMark({hue, upright, turn}) {
  const [width, height] = upright ? [BREADTH, BAR] : [BAR, BREADTH];
  const box = {x: -width / 2, y: -height / 2, width, height};
  const fill = svg("rect", {...box, ...(upright ? {y: 0} : {x: 0}), class: "fill"});
  const grip = svg("path", {
    class: "grip",
    d: upright ? `M${-width / 2 - 6} 0h${width + 12}` : `M0 ${-height / 2 - 6}v${height + 12}`,
  });
  const element = svg(
    "g",
    {
      class: `valve quantity-${hue}`,
      role: "slider",
      tabindex: 0,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
      "aria-orientation": upright ? "vertical" : "horizontal",
      onkeydown: key,
      onpointerdown: grasp,
      onpointermove: drag,
      onpointerup: release,
      onpointercancel: release,
    },
    svg("rect", {class: "reach", x: box.x - 16, y: box.y - 10, width: width + 32, height: height + 20}),
    svg("rect", {...box, class: "frame"}),
    fill,
    svg("rect", {...box, class: "edge"}),
    grip,
  );
  let open = 0;
  let stuck = false;
  let held = false;

  /** @param {PointerEvent} event */
  function openUnder(event) {
    const matrix = element.getScreenCTM()?.inverse();
    if (!matrix) return open;
    const {x, y} = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    return Math.min(1, Math.max(0, upright ? 0.5 - y / BAR : 0.5 + x / BAR));
  }
  /** @param {PointerEvent} event */
  function grasp(event) {
    if (stuck || event.button !== 0) return;
    held = true;
    element.setPointerCapture(event.pointerId);
    element.focus({preventScroll: true});
    event.preventDefault();
    turn(openUnder(event), false);
  }
  /** @param {PointerEvent} event */
  function drag(event) {
    if (held) turn(openUnder(event), false);
  }
  /** @param {PointerEvent} event */
  function release(event) {
    if (!held) return;
    held = false;
    if (event.type === "pointerup") turn(openUnder(event), true);
  }
  /** @param {KeyboardEvent} event */
  function key(event) {
    const notch = Math.round(open / NOTCH);
    /** @type {Record<string, number>} */
    const places = {
      ArrowUp: notch + 1,
      ArrowRight: notch + 1,
      ArrowDown: notch - 1,
      ArrowLeft: notch - 1,
      PageUp: notch + 4,
      PageDown: notch - 4,
      Home: 0,
      End: 1 / NOTCH,
    };
    if (stuck || !(event.key in places) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    turn(Math.min(1, Math.max(0, places[event.key] * NOTCH)), true);
  }

  return {
    element,
    update(datum) {
      open = datum.asked || Number.isNaN(datum.open) ? 0 : Math.min(1, Math.max(0, datum.open));
      stuck = datum.stuck || datum.asked;
      const from = BAR / 2;
      fill.style.setProperty(
        "transform",
        upright ? `translateY(${from}px) scaleY(${-open})` : `translateX(${-from}px) scaleX(${open})`,
      );
      const along = (open - 0.5) * BAR;
      grip.style.setProperty("transform", upright ? `translateY(${-along}px)` : `translateX(${along}px)`);
      element.classList.toggle("still", !datum.moving || held);
      setAttributes(element, {
        "aria-label": datum.label,
        "aria-valuenow": (open || 0).toFixed(4), // which has no exponent
        "aria-valuetext": datum.asked ? "is asked for" : `${figure(datum.open)}, open by ${percent(datum.open)}`,
        "aria-disabled": stuck ? "true" : null,
        "aria-description": datum.stuck ? "It has no bias of its own to be turned by." : null,
      });
    },
  };
}
