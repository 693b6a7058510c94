/** A small field as a grid of HTML: every cell has its colour, and where there is room its number. */
import {colourOf} from "./colours.js";
import {el, setAttributes, setText} from "./dom.js";
import {spokenValue} from "./field.js";
import {compact} from "../engine/figures.js";
import {litPlaces} from "./products.js";
import {shortMark} from "./quantities.js";
import {BETWEEN, labelPlaces} from "./timeline.js";
import {pagePhrase} from "./phrases.js";

export const WITH_NUMBERS = 12; // steps

/** A view of small fields. @param {Page} page @param {FieldCursor} cursor */
export function smallField(page, cursor) {
  /** @type {HTMLElement[][]} */
  let cells = [];
  /** @type {Field | null} */
  let field = null;
  let widest = 0; // of the marks of steps, in pixels
  let shownPlace = ""; // whose mark is placed and which is in view: to see where costs a layout
  const grid = el("div", {
    role: "grid",
    class: "grid",
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (field) cursor.key(event, field);
    },
  });
  const element = el("div", {class: "scroller"}, grid);

  /** @param {Field} now @param {number} row */
  function rowOf(now, row) {
    cells[row] = Array.from({length: now.steps}, (_, step) =>
      el("div", {role: "gridcell", class: "cell", onclick: () => field && cursor.open(field, {row, step})}),
    );
    return el("div", {role: "row"}, el("div", {role: "rowheader", class: "name"}), ...cells[row]);
  }

  /** @param {Field} now */
  function build(now) {
    cells = [];
    widest = 0;
    shownPlace = "";
    const times = Array.from({length: now.steps}, (_, step) =>
      el("div", {role: "columnheader", class: "time"}, el("span", {}, shortMark(page, step))),
    );
    const rows = now.rows.map((_, row) => rowOf(now, row));
    const corner = el(
      "div",
      {role: "columnheader", class: "name"},
      pagePhrase(
        page,
        `strip.${page.doc.labels.times ? "time" : "step"}${page.model.wiring.tokens ? " and token" : ""}`,
      ),
    );
    grid.replaceChildren(...rows, el("div", {role: "row", class: "times"}, corner, ...times));
    grid.style.setProperty("--steps", String(now.steps));
    element.style.setProperty("--rows", String(now.rows.length));
    grid.classList.toggle("with-numbers", now.steps <= WITH_NUMBERS);
  }

  /** @param {Field} now */
  function fill(now) {
    const place = cursor.of(now);
    const hadFocus = grid.contains(document.activeElement);
    const lit = litPlaces(page, now);
    cells.forEach((row, at) =>
      row.forEach((cell, step) => {
        const isAsked = now.isAsked(at, step);
        const value = now.at(at, step);
        const colour = isAsked ? null : colourOf(now.scale, value);
        const isChosen = at === place.row && step === place.step;
        const isLit = lit.cells.some(lamp => lamp.row === at && lamp.step === step);
        cell.classList.toggle("lit", isLit);
        cell.style.setProperty("background-color", colour?.fill ?? "transparent");
        cell.style.setProperty("color", colour?.ink ?? "inherit");
        if (now.steps <= WITH_NUMBERS)
          setText(cell, isAsked ? "?" : Number.isNaN(value) && !now.isValid(step) ? "–" : compact(value));
        const spoken = spokenValue(page, now, {row: at, step});
        setAttributes(cell, {
          "aria-label": isLit ? pagePhrase(page, "strip.lit", {value: spoken}) : spoken,
          "aria-selected": String(isChosen),
          tabindex: isChosen ? 0 : -1,
        });
      }),
    );
    grid.querySelectorAll(".times > .time").forEach((time, step) => {
      time.classList.toggle("now", step === place.step);
      time.classList.toggle("lit", lit.steps.has(step));
    });
    if (shownPlace === `${place.row} ${place.step}`) return;
    shownPlace = `${place.row} ${place.step}`;
    if (hadFocus) cells[place.row]?.[place.step]?.focus({preventScroll: true});
    showPlace(now);
  }

  /** Place the marks of steps, and scroll to the chosen one. @param {Field} now */
  function showPlace(now) {
    const {row, step} = cursor.of(now);
    placeTimes(now, step);
    const cell = cells[row]?.[step];
    if (!cell) return;
    const name = cell.parentElement?.firstElementChild;
    keepInView(element, cell.offsetLeft, cell.offsetWidth, name instanceof HTMLElement ? name.offsetWidth : 0);
  }

  /** Show as many marks of steps as touch no other. @param {Field} now @param {number} chosen */
  function placeTimes(now, chosen) {
    const marks = [...grid.querySelectorAll(".times > .time > span")];
    const widths = marks.map(mark => mark.scrollWidth);
    // Wherever the chosen step is, its mark and another one fit beside each other.
    widest = Math.max(widest, ...widths.filter((_, step) => step !== chosen));
    grid.style.setProperty("--least", `${(3 * (widest + BETWEEN)) / now.steps}px`);
    const cell = cells[0][0].getBoundingClientRect().width;
    const axis = {first: 0, count: now.steps, cell, total: cell * now.steps, chosen};
    const places = labelPlaces({...axis, widthOf: step => widths[step]});
    marks.forEach((mark, step) => {
      const place = places.find(label => label.step === step);
      mark.classList.toggle("visually-hidden", !place);
      if (mark instanceof HTMLElement) {
        mark.style.setProperty("translate", place ? `${place.middle - (step + 0.5) * cell}px` : "none");
      }
    });
  }
  const observer = new ResizeObserver(() => field && showPlace(field));
  observer.observe(element);
  observer.observe(grid); // which grows with the reader's size of text

  return {
    element,
    /** @param {Field} now */
    update(now) {
      if (cells.length !== now.rows.length || cells[0]?.length !== now.steps) build(now);
      field = now;
      grid.setAttribute("aria-label", pagePhrase(page, "strip.label", {quantity: now.quantity.words}));
      grid.querySelectorAll("[role=rowheader]").forEach((header, row) => setText(header, now.nameOf(row)));
      fill(now);
    },
  };
}

/**
 * Scroll sideways, as little as needed, until a part is seen. The page itself stays where it is.
 * @param {HTMLElement} scroller @param {number} left @param {number} width
 * @param {number} covered the width of the names over the scroller's left side
 */
export function keepInView(scroller, left, width, covered) {
  const {scrollLeft, clientWidth} = scroller;
  const margin = Math.min(2 * width + 24, (clientWidth - covered) / 4);
  if (left - margin - covered < scrollLeft) scroller.scrollLeft = left - margin - covered;
  else if (left + width + margin > scrollLeft + clientWidth) scroller.scrollLeft = left + width + margin - clientWidth;
}
