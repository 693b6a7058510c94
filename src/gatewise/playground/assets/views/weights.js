/** The weights of the chosen unit as tables: an entry a row, an equation a column; backward, their gradients. */
import {el} from "./dom.js";
import {contributionsTo, keysToShow} from "./entries.js";
import {nameAlong, refKey, openedRef, symbolElement, unitWords} from "./detail.js";
import {litBy} from "./products.js";
import {anyNumber} from "./number_controls.js";

/** @typedef {import("./store.js").Page} Page */
/** @typedef {import("./store.js").Ref} Ref */
/** @typedef {{key: string, label: () => Node | string, cells: (Ref | null)[], size: number}} Row  many are made, few shown */

const MOST_ROWS = 12;
const MOST_AT_ONCE = 5e6; // products that are summed without a pause
const SLICE_OF_SUMS = 16; // milliseconds
/** @type {WeakMap<Page, {place: string, ready: boolean}>} */
const summedPlaces = new WeakMap();

/** The name of a parameter without the gate at its end, and the gate: W_ and f. @param {string} name @returns {[string, string]} */
function splitName(name) {
  return name.includes("_") ? [name.slice(0, -1), name.slice(-1)] : [name, ""];
}

/** The rows of a table: of matrices each entry of the unit's row, of vectors the unit's entry.
 * @param {Page} page @param {any[]} given @param {string[]} gates @returns {Row[]} */
function rowsFor(page, given, gates) {
  const {
    model,
    store: {
      state: {layer, direction, unit},
    },
  } = page;
  const sizes = contributionsTo(page, layer, direction);
  const bases = [...new Set(given.map(one => splitName(one.symbol)[0]))];
  return bases.flatMap(base => {
    const own = given.filter(one => splitName(one.symbol)[0] === base);
    const across = own[0].axes.length === 2 ? own[0].axes.indexOf("units") : -1;
    /** @param {number[]} at */
    const cells = at =>
      gates.map(gate => {
        const found = own.find(one => splitName(one.symbol)[1] === gate);
        return found ? {layer, direction, name: found.symbol, step: null, at} : null;
      });
    if (across < 0)
      return [{key: base, label: () => bareName(base, own[0].symbol), cells: cells([unit]), size: Infinity}];
    const other = 1 - across;
    const count = model.shape(layer, direction, own[0].symbol)[other];
    const labelled = splitName(own[0].symbol)[1] === "";
    /** @param {string} axis @param {number} k @param {string} symbol of a matrix that is no gate's */
    const rowLabel = (axis, k, symbol) => {
      const name = nameAlong(model, layer, direction, axis, k);
      if (symbol) return el("span", {}, symbolElement(symbol), " ", name);
      const isState = axis === "recurrent" || (axis === "columns" && k < recurrent);
      return isState ? el("span", {}, symbolElement("h_prev"), " ", name) : name;
    };
    const {recurrent} = model.layers[layer].cells[direction];
    return Array.from({length: count}, (_, k) => ({
      key: `${base} ${k}`,
      label: () => rowLabel(own[0].axes[other], k, labelled ? own[0].symbol : ""),
      cells: cells(across === 0 ? [unit, k] : [k, unit]),
      size: sizeOfEntry(sizes, own[0].axes[other], k, recurrent),
    }));
  });
}

/** @param {string} base @param {string} name */
function bareName(base, name) {
  return {b_: "bias", p_: "peephole"}[base] ?? symbolElement(name.slice(0, -1).replace(/_$/, ""));
}

/** @param {Map<string, Float64Array>} sizes @param {string} axis @param {number} index @param {number} recurrent */
function sizeOfEntry(sizes, axis, index, recurrent) {
  const inX = axis === "features" ? index : axis === "columns" ? index - recurrent : -1;
  return (inX >= 0 ? sizes.get("x")?.[inX] : sizes.get("h_prev")?.[index]) ?? 0;
}

/** The weights of the chosen unit; backward, the gradients with respect to them.
 * @param {Page} page @param {Set<string>} opened @param {() => void} redraw */
export function weightsTable(page, opened, redraw) {
  const {
    model,
    store: {state},
  } = page;
  const {layer, direction, backward, unit} = state;
  const cell = model.layers[layer].cells[direction];
  /** @type {any[]} */
  const given = cell.program.given.filter(
    (/** @type {any} */ one) => one.kind === "parameter" && one.axes.includes("units"),
  );
  const gates = [...new Set(given.map(one => splitName(one.symbol)[1]))];
  const all = rowsFor(page, given, gates);
  const key = "all weights";
  const kept = new Set(
    [...all].sort((a, b) => b.size - a.size).slice(0, MOST_ROWS + all.filter(row => row.size === Infinity).length),
  );
  const asked = keysToShow(page);
  const rows =
    opened.has(key) || all.length <= kept.size + 2
      ? all
      : all.filter(
          row =>
            kept.has(row) ||
            row.cells.some(ref => ref && (asked.has(refKey(ref)) || asked.has(refKey({...ref, name: `d${ref.name}`})))),
        );
  const lit = litBy(page, state);
  const chosen = openedRef(model, state);
  const heading = backward
    ? `The gradients with respect to the weights of ${unitWords(model, layer, direction, unit)}, each a sum over all steps`
    : `The weights of ${unitWords(model, layer, direction, unit)}, the same at every step`;
  const summary = el("summary", {"data-key": "weights"}, heading);
  const part = el("details", {class: "weights-part"}, summary);
  const isLong =
    backward && model.steps * all.length * gates.length * model.layers[layer].cells[direction].hidden > MOST_AT_ONCE;
  const wanted =
    lit.size > 0 || (backward && !isLong) || asked.has(chosen && chosen.step === null ? refKey(chosen) : "");
  part.open = wanted ? !opened.has("weights hidden") : opened.has("weights shown");
  summary.addEventListener("click", event => {
    event.preventDefault();
    const [own, other] = part.open ? ["weights hidden", "weights shown"] : ["weights shown", "weights hidden"];
    opened.add(own);
    opened.delete(other);
    redraw();
  });
  if (!part.open) return part;
  if (isLong && !areSummed(page, given, redraw)) {
    part.append(el("p", {class: "soft"}, "The sums over all steps are being computed."));
    return part;
  }
  const table = el(
    "table",
    {class: "weights"},
    el("caption", {}, heading),
    el("thead", {}, el("tr", {}, el("td", {}), ...gates.map(gate => el("th", {scope: "col"}, gateHead(gate))))),
    el(
      "tbody",
      {},
      ...rows.map(row =>
        el(
          "tr",
          {},
          el("th", {scope: "row"}, row.label()),
          ...row.cells.map(ref => weightCell(page, ref, backward, lit, chosen)),
        ),
      ),
    ),
  );
  part.append(el("div", {class: "scrolls", tabindex: "0", role: "region", "aria-label": heading}, table));
  const rest = all.length - rows.length;
  if (rest > 0 || opened.has(key))
    part.append(
      el(
        "button",
        {
          class: "rest",
          "data-key": key,
          onclick: () => {
            if (!opened.delete(key)) opened.add(key);
            redraw();
          },
        },
        rest > 0 ? `${rest} more rows` : "fewer rows",
      ),
    );
  return part;
}

/** Whether the sums of a long run are there; if not, they are computed one after the other, and then drawn.
 * @param {Page} page @param {any[]} given @param {() => void} redraw */
function areSummed(page, given, redraw) {
  const {
    model,
    store: {
      state: {layer, direction},
    },
  } = page;
  const place = [page.runs, layer, direction].join(" ");
  const known = summedPlaces.get(page);
  if (known?.place === place) return known.ready;
  const work = {place, ready: false};
  summedPlaces.set(page, work);
  const names = given.map(one => `d${one.symbol}`).filter(name => model.order(layer, direction, true).includes(name));
  const next = () => {
    if (summedPlaces.get(page) !== work) return;
    if (!model.finish(SLICE_OF_SUMS)) return void setTimeout(next);
    const name = names.shift();
    if (name !== undefined) {
      model.value(layer, direction, name, null);
      return void setTimeout(next);
    }
    work.ready = true;
    redraw();
  };
  setTimeout(next);
  return false;
}

/** @param {string} gate */
function gateHead(gate) {
  return gate ? symbolElement(gate) : el("span", {class: "visually-hidden"}, "of no gate");
}

/** @param {Page} page @param {Ref | null} ref @param {boolean} backward @param {Map<string, Ref>} lit @param {Ref | null} chosen */
function weightCell(page, ref, backward, lit, chosen) {
  if (!ref) return el("td", {});
  const {model} = page;
  const shown = backward ? {...ref, name: `d${ref.name}`} : ref;
  const known = !backward || model.equation(ref.layer, ref.direction, shown.name);
  if (!known) return el("td", {class: "soft"}, "0");
  const classes = [lit.has(refKey(ref)) ? "lit" : "", chosen && refKey(chosen) === refKey(shown) ? "chosen" : ""];
  return el("td", {class: classes.join(" ").trim() || null}, anyNumber(page, shown));
}
