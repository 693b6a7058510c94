/** The field of the strip's two pictures: a quantity as rows over steps, the chosen place, and the keys that move it. */
import {figure} from "../engine/figures.js";
import {choosePlace, descend} from "./levels.js";
import {unitWords} from "./detail.js";
import {isHidden} from "./visibility.js";
import {measureOf, rowName, rowsOf, scaleOf, shownQuantity, stepName} from "./quantities.js";
import {pagePhrase} from "./phrases.js";

/** A quantity as rows over steps; `rows` are the units or features. @param {Page} page @param {State} state */
export function fieldOf(page, state) {
  const {model} = page;
  const quantity = shownQuantity(page, state);
  const {layer, direction} = quantity.place;
  const rows = rowsOf(page, state, quantity);
  /** @param {number} step */
  const column = step => model.value({layer, direction, name: quantity.name, step});
  /** @param {number} unit @param {number} step */
  const isAsked = (unit, step) => isHidden(state, {layer, direction, name: quantity.name, step, at: [unit]});
  return {
    quantity,
    rows,
    steps: model.steps,
    scale: scaleOf(page, state, quantity, state.answer && isAsked),
    column,
    at: (/** @type {number} */ row, /** @type {number} */ step) => column(step)[rows[row]],
    nameOf: (/** @type {number} */ row) =>
      quantity.ofUnits ? unitWords(model, {layer, direction}, rows[row]) : rowName(page, state, quantity, rows[row]),
    isValid: (/** @type {number} */ step) => page.doc.inputs.valid?.[step] ?? true,
    asks: state.answer !== null,
    isAsked: (/** @type {number} */ row, /** @type {number} */ step) => isAsked(rows[row], step),
  };
}

/** Whether two states show the same field: only the chosen place may differ. @param {State} first @param {State} second */
export function isSameField(first, second) {
  /** @type {(keyof State)[]} */
  const keys = ["layer", "direction", "quantity", "backward", "sorted", "edits", "loss", "answer", "logarithmic"];
  return keys.every(key => first[key] === second[key]);
}

/** A value, said with its unit and step. @param {Page} page @param {Field} field @param {FieldPlace} place */
export function spokenValue(page, field, {row, step}) {
  const value = field.at(row, step);
  const known = Number.isNaN(value) && !field.isValid(step) ? pagePhrase(page, "strip.no number") : figure(value);
  const words = field.isAsked(row, step) ? pagePhrase(page, "stage.asked") : known;
  const name = field.nameOf(row);
  return `${name}${field.quantity.ofUnits ? "" : measureOf(page, name)}, ${stepName(page, step)}: ${field.quantity.words} ${words}`;
}

/**
 * The place to which a key leads, or null.
 * @param {KeyboardEvent} event @param {FieldPlace} place @param {Field} field @returns {FieldPlace | null}
 */
function placeByKey(event, {row, step}, field) {
  const [bottom, last] = [field.rows.length - 1, field.steps - 1];
  const page = Math.max(1, Math.round(field.steps / 10));
  /** @type {Record<string, FieldPlace>} */
  const places = {
    ArrowLeft: {row, step: Math.max(0, step - 1)},
    ArrowRight: {row, step: Math.min(last, step + 1)},
    ArrowUp: {row: Math.max(0, row - 1), step},
    ArrowDown: {row: Math.min(bottom, row + 1), step},
    PageUp: {row, step: Math.max(0, step - page)},
    PageDown: {row, step: Math.min(last, step + page)},
    Home: {row: event.ctrlKey ? 0 : row, step: 0},
    End: {row: event.ctrlKey ? bottom : row, step: last},
  };
  if (event.altKey || event.metaKey || (event.ctrlKey && event.key !== "Home" && event.key !== "End")) return null;
  return places[event.key] ?? null;
}

/** The chosen place of a field; a feature's row is kept here, for the state knows only units. */
export class FieldCursor {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.row = 0;
  }

  /** @param {Field} field @returns {FieldPlace} */
  of(field) {
    const {step, unit} = this.page.store.state;
    const row = field.quantity.ofUnits ? field.rows.indexOf(unit) : this.row;
    return {row: Math.min(field.rows.length - 1, Math.max(0, row)), step: Math.min(step, field.steps - 1)};
  }

  /** @param {Field} field @param {FieldPlace} place */
  move(field, {row, step}) {
    this.row = row;
    const unit = field.quantity.ofUnits ? {unit: field.rows[row]} : {};
    this.page.store.change({step, ...unit, playing: false});
  }

  /** @param {Field} field @param {FieldPlace} place */
  open(field, {row, step}) {
    this.row = row;
    choosePlace(this.page, step, field.quantity.ofUnits ? field.rows[row] : null);
  }

  /** Follow a key pressed in the field. @param {KeyboardEvent} event @param {Field} field */
  key(event, field) {
    const place = this.of(field);
    if (event.key === "Enter") {
      event.preventDefault();
      descend(this.page);
      return;
    }
    const next = placeByKey(event, place, field);
    if (!next) return;
    event.preventDefault();
    this.move(field, next);
  }
}
