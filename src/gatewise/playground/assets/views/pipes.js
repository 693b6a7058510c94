/** The stage as a picture: pipes as full as what flows in them, the cell state as a level, and places for the valves. */
import {setText, svg} from "./dom.js";
import {figure} from "../engine/figures.js";
import {compact} from "../engine/figures.js";

const LONGEST_LINE = 14; // characters of a caption
const BORE = 26; // of a pipe that is full
const HAIR = 1.5;
const SPARE = 1.15; // an open vessel is somewhat higher than what it is made to hold

/** A pipe, filled as far as an amount says. @param {string} path @param {string} quantity whose hue it has */
export function pipeMark(path, quantity) {
  const fill = svg("path", {d: path, class: `flow quantity-${quantity}`});
  const stream = svg("path", {d: path, class: "stream"}); // which moves while it plays
  const element = svg(
    "g",
    {class: "pipe"},
    svg("path", {d: path, class: "wall"}),
    svg("path", {d: path, class: "bore"}),
    fill,
    stream,
  );
  return {
    element,
    /** @param {number | null} amount @param {number} full the amount that fills it */
    update(amount, full) {
      const share = amount === null || Number.isNaN(amount) ? 0 : Math.min(1, Math.abs(amount) / full);
      const breadth = share < 0.0005 ? 0 : Math.max(HAIR, share * BORE);
      fill.style.setProperty("stroke-width", `${breadth}px`);
      stream.style.setProperty("stroke-width", `${breadth / 3}px`);
      fill.classList.toggle("negative", amount !== null && amount < 0);
    },
  };
}

/**
 * A level between two ends, from zero up or down.
 * @param {Gauge} gauge @param {string} quantity @param {boolean} isOpen whether it is a vessel that is open above
 */
export function levelMark({x, y, width, height}, quantity, isOpen) {
  const water = svg("rect", {class: `water quantity-${quantity}`, x, y: 0, width, height});
  const surface = svg("path", {class: "surface", d: `M${x} 0h${width}`});
  const zero = svg("path", {class: "zero", d: `M${x} 0h${width}`});
  const element = svg(
    "g",
    {class: `level quantity-${quantity}`},
    svg("rect", {x, y, width, height, class: "frame"}),
    water,
    zero,
    surface,
    isOpen
      ? svg("path", {class: "edge", d: `M${x} ${y}v${height}h${width}v${-height}`})
      : svg("rect", {x, y, width, height, class: "edge"}),
  );
  const spare = isOpen ? SPARE : 1;
  /** @param {LevelRange} range @param {number} value */
  function placeIn(range, value) {
    const within = Math.min(range.high * spare, Math.max(range.low, value));
    return y + height * (1 - (within - range.low) / (range.high * spare - range.low));
  }
  return {
    element,
    placeIn,
    /** @param {number} value @param {LevelRange} range */
    update(value, range) {
      const known = Number.isNaN(value) ? 0 : value;
      const [from, to] = [placeIn(range, 0), placeIn(range, known)];
      water.style.setProperty("transform", `translateY(${from}px) scaleY(${(to - from) / height})`);
      surface.style.setProperty("transform", `translateY(${to}px)`);
      zero.style.setProperty("transform", `translateY(${from}px)`);
      element.classList.toggle("negative", known < 0);
    },
  };
}

/** A thin line, which may end in a head. @param {string} path @param {string} quantity whose hue it has
 * @param {boolean} hasHead */
export function lineMark(path, quantity, hasHead) {
  const [x, y] = [/.*H(\d+)/, /.*V(\d+)/].map(last => Number(last.exec(path)?.[1]));
  const head = hasHead ? svg("path", {class: "head", d: `M${x - 4} ${y + 7}l4 -7l4 7z`}) : null;
  return svg("g", {class: `feed quantity-${quantity}`}, svg("path", {class: "line", d: path}), head);
}

/** Heads of arrows on the pipes: which way it flows. @param {[number, number, number][]} places with their angle */
export function arrowMarks(places) {
  return places.map(([x, y, angle]) =>
    svg("g", {class: "arrow", transform: `translate(${x} ${y}) rotate(${angle})`}, svg("path", {d: "M-3 -6l6 6l-6 6"})),
  );
}

const CLEAR = 24; // between the middle of a pipe and that of a number above or below it

/** Numbers at the ends of a level, and 0 between them unless the pipe lies there. A negative one stands below the level,
 * since another pipe comes up beside it. @param {Gauge} gauge @param {ReturnType<typeof levelMark>} level */
export function ticksOf({x, y, width, height}, level) {
  const texts = [0, 1, 2].map(() => svg("text", {class: "tick", "text-anchor": "end"}));
  return {
    elements: texts,
    /** @param {LevelRange} range */
    update(range) {
      const isClear = Math.abs(level.placeIn(range, 0) - y - height / 2) > CLEAR;
      const values = [range.high, range.low, ...(range.low < 0 && isClear ? [0] : [])];
      texts.forEach((text, k) => {
        const value = values[k];
        setText(text, value === undefined ? "" : figure(value, 2));
        if (value === undefined) return;
        text.setAttribute("x", String(value < 0 ? x + width : x - 6));
        text.setAttribute("y", String(level.placeIn(range, value) + (value < 0 ? 17 : 5)));
      });
    },
  };
}

/**
 * Words and a number beside a part of the picture.
 * @param {Caption} place @param {string} quantity
 * @param {((event: Event) => void) | null} open what a press does
 */
export function captionMark(place, quantity, open) {
  const {x, y, anchor, lines, stacked} = place;
  const words = svg("tspan");
  const more = svg("tspan", {x, dy: "1.3em"}); // of a name that is too long for one line
  const symbol = svg("tspan", {class: "letter", ...(lines ? {x, dy: "1.3em"} : stacked ? {} : {dx: "0.35em"})});
  const value = svg("tspan", {class: "value", ...(stacked ? {x, dy: "1.2em"} : {dx: "0.4em"})});
  const text = svg(
    "text",
    {
      class: `caption quantity-${quantity}`,
      x,
      y,
      "text-anchor": anchor,
      ...(open
        ? {
            role: "button",
            tabindex: 0,
            onclick: open,
            onkeydown: (/** @type {KeyboardEvent} */ event) => {
              if (event.key !== "Enter" && event.key !== " ") return;
              event.preventDefault();
              open(event);
            },
          }
        : {}),
    },
    words,
    more,
    symbol,
    value,
  );
  return {
    element: text,
    /** @param {{name: string, letter: string, spoken: string, number: number | null, asked: boolean}} datum */
    update({name, letter: now, spoken, number, asked}) {
      const known = asked ? "?" : number === null ? "" : compact(number);
      const end = lines && name.length > LONGEST_LINE ? name.lastIndexOf(" ") : -1;
      setText(words, end < 0 ? name : name.slice(0, end));
      setText(more, end < 0 ? "" : name.slice(end + 1));
      setText(symbol, now);
      setText(value, known);
      const others = spoken === name ? [] : [spoken];
      if (open) text.setAttribute("aria-label", [...others, name, now, known].filter(Boolean).join(" "));
    },
  };
}
