/** Gates as valves: bars that are filled as far as they are open, and that can be dragged. */
import {setAttributes, svg} from "./dom.js";

/** @typedef {{open: number, label: string, text: string, note: string, stuck: boolean, asked: boolean, moving: boolean}}
 * Datum */
/**
 * @typedef {object} Valve
 * @property {SVGGElement} element
 * @property {(datum: Datum) => void} update
 */

const BAR = 76; // of a bar, across its pipe
const BREADTH = 20;
const NOTCH = 0.05;
const SLACK = 4; // pixels: to press it says what it would change, and only to drag it changes that

/**
 * A valve across a pipe, at the origin.
 * @param {{hue: string, turn: (open: number, isLast: boolean) => void, regard: (isRegarded: boolean) => void}} options
 *   called while it is dragged, and when the pointer or the focus comes to it and leaves it @returns {Valve}
 */
export function valveMark({hue, turn, regard}) {
  const box = {x: -BREADTH / 2, y: -BAR / 2, width: BREADTH, height: BAR};
  const fill = svg("rect", {...box, y: 0, class: "fill"});
  const grip = svg("path", {class: "grip", d: `M${box.x - 6} 0h${BREADTH + 12}`});
  const element = svg(
    "g",
    {
      class: `valve quantity-${hue}`,
      role: "slider",
      tabindex: 0,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
      "aria-orientation": "vertical",
      onkeydown: key,
      onpointerdown: grasp,
      onpointermove: drag,
      onpointerup: release,
      onpointercancel: release,
      onpointerenter: () => regard(true),
      onpointerleave: () => regard(false),
      onfocus: () => regard(true),
      onblur: () => regard(false),
    },
    svg("rect", {class: "reach", x: box.x - 12, y: box.y - 6, width: BREADTH + 24, height: BAR + 12}),
    svg("rect", {...box, class: "frame"}),
    fill,
    svg("rect", {...box, class: "edge"}),
    grip,
  );
  let open = 0;
  let stuck = false;
  let held = false;
  let from = 0;

  /** @param {PointerEvent} event */
  function openUnder(event) {
    const matrix = element.getScreenCTM()?.inverse();
    if (!matrix) return open;
    const {y} = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    return Math.min(1, Math.max(0, 0.5 - y / BAR));
  }
  /** @param {PointerEvent} event */
  function grasp(event) {
    if (stuck || event.button !== 0) return;
    held = true;
    from = event.clientY;
    element.setPointerCapture(event.pointerId);
    element.focus({preventScroll: true});
    event.preventDefault();
  }
  /** @param {PointerEvent} event */
  function drag(event) {
    if (!held || Math.abs(event.clientY - from) < SLACK) return;
    from = Number.NaN; // from now on every move turns it
    turn(openUnder(event), false);
  }
  /** @param {PointerEvent} event */
  function release(event) {
    if (!held) return;
    held = false;
    if (event.type === "pointerup" && Number.isNaN(from)) turn(openUnder(event), true);
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
      fill.style.setProperty("transform", `translateY(${BAR / 2}px) scaleY(${-open})`);
      grip.style.setProperty("transform", `translateY(${(0.5 - open) * BAR}px)`);
      element.classList.toggle("still", !datum.moving || held);
      setAttributes(element, {
        "aria-label": datum.label,
        "aria-valuenow": (open || 0).toFixed(4), // which has no exponent
        "aria-valuetext": datum.text,
        "aria-disabled": stuck ? "true" : null,
        "aria-description": datum.note,
      });
    },
  };
}
