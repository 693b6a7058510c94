/** A large field as a canvas that draws its visible part, with a grid of one focusable cell behind it. */
import {tablePlace, tableOf} from "./colours.js";
import {el, observeSize, setAttributes} from "./dom.js";
import {spokenValue} from "./field.js";
import {keepInView} from "./grid.js";
import {litPlaces} from "./products.js";
import {shortMark} from "./quantities.js";
import {labelPlaces, roundDistance} from "./timeline.js";
import {pagePhrase} from "./phrases.js";

/** @typedef {{left: number, cell: number, row: number, width: number, height: number}} Measures */

const GUTTER = 120; // pixels at most for the names of units
const AXIS = 22; // pixels for the steps
const LEAST_ROW = 4;
const PADDING = 3; // pixels behind the last step
const EDGE = 4; // where names have no room
const TALLEST = 560;
const LEAST_MARK = 9; // pixels, so that the chosen value is found

/** The height of a field that has all the room it asks for. @param {Field} field */
function heightOf({rows}) {
  const row = Math.min(28, Math.max(LEAST_ROW, 420 / rows.length));
  return Math.min(TALLEST, row * rows.length + AXIS + 2 * PADDING);
}

/**
 * The sizes of a field's cells: as many whole rows as have room.
 * @param {Field} field @param {number} width @param {number} height @param {number} names how wide the names of its
 *   rows are @returns {Measures}
 */
function measuresOf(field, width, height, names) {
  const left = width > 500 ? Math.min(GUTTER, names + 12) : EDGE;
  const cell = Math.min(40, Math.max(1, (width - left) / field.steps));
  const room = Math.max(LEAST_ROW, height - AXIS - 2 * PADDING);
  const row = room / Math.min(field.rows.length, Math.floor(room / LEAST_ROW));
  return {left, cell, row, width: left + cell * field.steps, height: row * field.rows.length + AXIS};
}

/** The cells of one axis that are seen. @param {number} from the first pixel that is @param {number} size in pixels
 * @param {number} cell @param {number} count @returns {[number, number]} the first, and how many */
function seenCells(from, size, cell, count) {
  const first = Math.min(count - 1, Math.max(0, Math.floor(from / cell)));
  return [first, Math.max(1, Math.min(count, Math.ceil((from + size) / cell)) - first)];
}

/**
 * The colours of a part of a field, one pixel for each value.
 * @param {Field} field @param {[number, number]} steps the first, and how many @param {[number, number]} rows
 */
function pixelsOf(field, [step, steps], [row, rows]) {
  const image = new ImageData(steps, rows);
  const table = tableOf(field.scale);
  for (let x = 0; x < steps; x += 1) {
    const values = field.column(step + x);
    for (let y = 0; y < rows; y += 1) {
      const place = tablePlace(field.scale, values[field.rows[row + y]]);
      if (place < 0 || (field.asks && field.isAsked(row + y, step + x))) continue;
      const at = 4 * (y * steps + x);
      image.data[at] = table[3 * place];
      image.data[at + 1] = table[3 * place + 1];
      image.data[at + 2] = table[3 * place + 2];
      image.data[at + 3] = 255;
    }
  }
  return image;
}

/**
 * A view of large fields.
 * @param {Page} page @param {FieldCursor} cursor @param {(place: FieldPlace | null) => void} pointed is told what the pointer is on
 */
export function largeField(page, cursor, pointed) {
  /** @type {Field | null} */
  let field = null;
  /** @type {Measures | null} */
  let measures = null;
  const picture = document.createElement("canvas");
  const canvas = el("canvas", {"aria-hidden": "true"});
  const cells = [0, 1].map(() => el("div", {role: "gridcell", class: "marker", tabindex: "-1"}));
  const line = el("div", {role: "row"}, cells[0]);
  const grid = el(
    "div",
    {
      role: "grid",
      class: "plane",
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (field) cursor.key(event, field);
      },
    },
    canvas,
    line,
  );
  const element = el("div", {class: "scroller", onscroll: () => draw()}, grid);
  let turn = 0;

  /** @param {PointerEvent} event @returns {FieldPlace | null} */
  function placeUnder(event) {
    if (!field || !measures) return null;
    const box = grid.getBoundingClientRect();
    const step = Math.floor((event.clientX - box.left - measures.left) / measures.cell);
    const row = Math.floor((event.clientY - box.top) / measures.row);
    const isName = event.clientX - element.getBoundingClientRect().left < measures.left;
    const isInside = !isName && step >= 0 && step < field.steps && row >= 0 && row < field.rows.length;
    return isInside ? {row, step} : null;
  }
  grid.addEventListener("click", event => {
    const place = placeUnder(/** @type {PointerEvent} */ (event));
    if (place && field) cursor.open(field, place);
  });
  grid.addEventListener("pointermove", event => pointed(placeUnder(event)));
  grid.addEventListener("pointerleave", () => pointed(null));
  observeSize(page, element, () => field && lay(field));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(), {signal: page.closed});

  function draw() {
    if (!field || !measures || !page.settled) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [element.clientWidth, Math.min(measures.height, element.clientHeight)];
    if (!width || !height) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.setProperty("width", `${width}px`);
    canvas.style.setProperty("height", `${height}px`);
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.scale(ratio, ratio);
    pen.translate(-element.scrollLeft, -element.scrollTop);
    pen.imageSmoothingEnabled = false;
    const {left, cell, row} = measures;
    const steps = seenCells(element.scrollLeft, width - left, cell, field.steps);
    const rows = seenCells(element.scrollTop, height - AXIS, row, field.rows.length);
    [picture.width, picture.height] = [steps[1], rows[1]];
    picture.getContext("2d")?.putImageData(pixelsOf(field, steps, rows), 0, 0);
    pen.drawImage(picture, left + steps[0] * cell, rows[0] * row, steps[1] * cell, rows[1] * row);
    write(pen, field, measures, steps, rows);
    light(pen, field, measures);
  }

  /** A mark under the steps of an opened product, and a ring around its numbers. @param {CanvasRenderingContext2D} pen
   * @param {Field} now @param {Measures} m */
  function light(pen, now, m) {
    const lit = litPlaces(page, now);
    const base = Math.min(m.height, element.scrollTop + element.clientHeight) - AXIS;
    pen.rect(element.scrollLeft + m.left - 2, 0, element.clientWidth, base + AXIS);
    pen.clip();
    const [paper, ink] = [getComputedStyle(document.body).backgroundColor, getComputedStyle(element).outlineColor];
    pen.fillStyle = ink;
    for (const step of lit.steps) pen.fillRect(m.left + step * m.cell, base, Math.max(4, m.cell), 4);
    for (const {row, step} of lit.cells) {
      const [wide, high] = [Math.max(m.cell, LEAST_MARK), Math.max(m.row, LEAST_MARK)];
      for (const [line, colour] of /** @type {[number, string][]} */ ([
        [6, paper],
        [2, ink],
      ])) {
        [pen.lineWidth, pen.strokeStyle] = [line, colour];
        pen.strokeRect(m.left + (step + 0.5) * m.cell - wide / 2, (row + 0.5) * m.row - high / 2, wide, high);
      }
    }
  }

  /** The names of visible rows and steps, over the scrolling part. @param {CanvasRenderingContext2D} pen @param {Field} now
   * @param {Measures} m @param {[number, number]} steps @param {[number, number]} rows */
  function write(pen, now, m, steps, rows) {
    const ink = getComputedStyle(element);
    const place = cursor.of(now);
    const [start, base] = [element.scrollLeft, Math.min(m.height, element.scrollTop + element.clientHeight) - AXIS];
    pen.clearRect(start, 0, m.left, m.height);
    pen.clearRect(start, base, element.clientWidth, AXIS);
    pen.fillStyle = ink.color;
    pen.font = `600 13px ${ink.fontFamily}`;
    pen.textAlign = "center";
    const labels = labelPlaces({
      first: steps[0],
      count: steps[1],
      cell: m.cell,
      total: m.width - m.left,
      chosen: place.step,
      widthOf: step => pen.measureText(shortMark(page, step)).width,
    });
    for (const {step, middle} of labels) {
      pen.font = `${step === place.step ? "600 " : ""}13px ${ink.fontFamily}`;
      pen.fillText(shortMark(page, step), m.left + middle, base + 17);
    }
    const middle = m.left + (place.step + 0.5) * m.cell;
    pen.fillRect(middle - 1, base, 2, 5);
    if (m.left > EDGE) writeNames(pen, now, m, rows, start + m.left - 8, `13px ${ink.fontFamily}`);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Field} now @param {Measures} m @param {[number, number]} rows
   * @param {number} right where they end @param {string} font */
  function writeNames(pen, now, m, rows, right, font) {
    const {row: chosen} = cursor.of(now);
    const apart = roundDistance(16 / m.row);
    /** @param {number} row */
    const write = row => pen.fillText(now.nameOf(row), right, Math.max(11, (row + 0.5) * m.row + 4), m.left - 12);
    pen.textAlign = "right";
    pen.font = font;
    for (let row = rows[0] - (rows[0] % apart); row < rows[0] + rows[1]; row += apart) {
      if (Math.abs(row - chosen) * m.row >= 16) write(row);
    }
    pen.font = `600 ${font}`;
    if (chosen >= rows[0] && chosen < rows[0] + rows[1]) write(chosen);
  }

  let laid = ""; // the shape of the field that is laid out
  let inView = ""; // the place that was brought into view

  /** The width of the longest row name. @param {Field} now */
  function widestName(now) {
    const pen = canvas.getContext("2d");
    if (!pen) return GUTTER;
    pen.font = `600 13px ${getComputedStyle(element).fontFamily}`;
    const longest = now.rows.reduce(
      (most, _, row) => (now.nameOf(row).length > most.length ? now.nameOf(row) : most),
      "",
    );
    return pen.measureText(longest).width;
  }

  /** @param {Field} now */
  function lay(now) {
    element.style.setProperty("height", `${heightOf(now)}px`);
    const {clientWidth, clientHeight} = element;
    measures = measuresOf(now, (clientWidth || 800) - PADDING, clientHeight || TALLEST, widestName(now));
    grid.style.setProperty("width", `${measures.width}px`);
    grid.style.setProperty("height", `${measures.height}px`);
    mark(now);
    draw();
  }

  /** Put the focusable cell where the chosen value is; another one takes its turn, so that it is spoken.
   * @param {Field} now */
  function mark(now) {
    if (!measures) return;
    const place = cursor.of(now);
    const hadFocus = cells.includes(/** @type {HTMLDivElement} */ (document.activeElement));
    turn = 1 - turn;
    const cell = cells[turn];
    setAttributes(cell, {
      "aria-label": spokenValue(page, now, place),
      "aria-colindex": place.step + 1,
      "aria-selected": "true",
      tabindex: "0",
    });
    line.setAttribute("aria-rowindex", String(place.row + 1));
    const [width, height] = [Math.max(measures.cell, LEAST_MARK), Math.max(measures.row, LEAST_MARK)];
    cell.style.setProperty("left", `${measures.left + (place.step + 0.5) * measures.cell - width / 2}px`);
    cell.style.setProperty("top", `${(place.row + 0.5) * measures.row - height / 2}px`);
    cell.style.setProperty("width", `${width}px`);
    cell.style.setProperty("height", `${height}px`);
    line.replaceChildren(cell);
    if (hadFocus) cell.focus({preventScroll: true});
    const at = `${place.row} ${place.step} ${measures.row} ${measures.cell}`;
    if (at === inView) return; // to look where it is costs a layout of the page
    inView = at;
    keepInView(element, measures.left + place.step * measures.cell, measures.cell, measures.left);
    const top = place.row * measures.row;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + measures.row + AXIS > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + measures.row + AXIS - element.clientHeight;
    }
  }

  return {
    element,
    /** @param {Field} now @param {boolean} redrawn whether values may have changed */
    update(now, redrawn) {
      field = now;
      setAttributes(grid, {
        "aria-label": pagePhrase(page, "strip.label", {quantity: now.quantity.words}),
        "aria-rowcount": now.rows.length,
        "aria-colcount": now.steps,
      });
      const shape = `${now.rows.length} ${now.steps} ${now.quantity.name} ${now.quantity.place.layer}`;
      if (!measures || (redrawn && shape !== laid)) {
        laid = shape;
        lay(now);
      } else {
        mark(now);
        draw();
      }
    },
  };
}
