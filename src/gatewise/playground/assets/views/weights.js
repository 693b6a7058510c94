/** The weights of the chosen unit as tables: an entry a row, an equation a column; backward, their gradients. */
import {el} from "./dom.js";
import {contributionsTo, keysToShow} from "./entries.js";
import {nameAlong, refKey, openedRef, symbolElement, unitWords} from "./detail.js";
import {litBy} from "./products.js";
import {anyNumber, restButton} from "./number_controls.js";
import {pagePhrase} from "./phrases.js";

/** @typedef {{key: string, label: () => Node | string, cells: (Ref | null)[], size: number}} Row many are made, few shown */

const MOST_ROWS = 12;
const MOST_AT_ONCE = 5e6; // products that are summed without a pause
const SLICE_OF_SUMS = 16; // milliseconds
/** @type {WeakMap<Page, {place: string, ready: boolean}>} */
const summedPlaces = new WeakMap();

/** The rows of a table: of matrices each entry of the unit's row, of vectors the unit's entry.
 * @param {Page} page @param {Given[]} parameters @param {string[]} gates @returns {Row[]} */
function rowsFor(page, parameters, gates) {
  const {model, store} = page;
  const {layer, direction, unit} = store.state;
  const place = {layer, direction};
  const sizes = contributionsTo(page, place);
  const quantities = parameters.map(({symbol}) => model.quantity({...place, name: symbol}));
  const keys = quantities.map(({base, rest}) => `${base} ${rest}`);
  return [...new Set(keys)].flatMap(key => {
    const members = quantities.filter((_, n) => keys[n] === key);
    const [first] = members;
    const axes = model.axes({...place, name: first.text});
    /** @param {number[]} at @returns {(Ref | null)[]} */
    const cells = at =>
      gates.map(gate => {
        const member = members.find(quantity => (quantity.gate ?? "") === gate);
        return member ? {...place, name: member.text, step: null, at} : null;
      });
    if (axes.length < 2) return [{key, label: () => vectorLabel(page, first), cells: cells([unit]), size: Infinity}];
    const across = axes.indexOf("units");
    const axis = axes[1 - across];
    const count = model.shape({...place, name: first.text})[1 - across];
    return Array.from({length: count}, (_, k) => ({
      key: `${key} ${k}`,
      label: () => entryLabel(model, place, first, axis, k),
      cells: cells(across === 0 ? [unit, k] : [k, unit]),
      size: sizeOfEntry(model, place, sizes, axis, k),
    }));
  });
}

/** @param {Page} page @param {Quantity} quantity */
function vectorLabel(page, quantity) {
  return quantity.role === "bias" || quantity.role === "peephole"
    ? pagePhrase(page, `weights.${quantity.role}`)
    : symbolElement(quantity, quantity.rest);
}

/** @param {Model} model @param {Place} place @param {Quantity} quantity of the row's matrix @param {string} axis
 * @param {number} k */
function entryLabel(model, place, quantity, axis, k) {
  const name = nameAlong(model, place, axis, k);
  const isState = axis === "recurrent" || (axis === "columns" && k < model.cell(place).recurrent);
  if (quantity.gate !== null && !isState) return name;
  const state = model.quantity({...place, name: model.roles(place).previous_hidden_state});
  return el("span", {}, symbolElement(quantity.gate === null ? quantity : state), " ", name);
}

/** @param {Model} model @param {Place} place @param {Map<string, Float64Array>} sizes @param {string} axis
 * @param {number} index */
function sizeOfEntry(model, place, sizes, axis, index) {
  const {input, previous_hidden_state: state} = model.roles(place);
  const feature = axis === "features" ? index : axis === "columns" ? index - model.cell(place).recurrent : -1;
  return (feature >= 0 ? sizes.get(input)?.[feature] : sizes.get(state)?.[index]) ?? 0;
}

/** Whether a row has a number that is shown however small it is. @param {Model} model @param {Row} row
 * @param {Set<string>} keys */
function hasKey(model, {cells}, keys) {
  return cells.some(ref => {
    const gradient = ref && model.gradientName(ref);
    return ref && (keys.has(refKey(ref)) || (gradient && keys.has(refKey({...ref, name: gradient}))));
  });
}

/** The weights of the chosen unit; backward, the gradients with respect to them.
 * @param {Page} page @param {Set<string>} opened @param {() => void} redraw */
export function weightsTable(page, opened, redraw) {
  const {model, store} = page;
  const {state} = store;
  const {layer, direction, backward, unit} = state;
  const place = {layer, direction};
  const parameters = model.givens(place).filter(({kind, axes}) => kind === "parameter" && axes.includes("units"));
  const gates = [...new Set(parameters.map(({symbol}) => model.quantity({...place, name: symbol}).gate ?? ""))];
  const all = rowsFor(page, parameters, gates);
  const key = "all weights";
  const vectors = all.filter(row => row.size === Infinity);
  const weighty = new Set([...all].sort((a, b) => b.size - a.size).slice(0, MOST_ROWS + vectors.length));
  const keys = keysToShow(page);
  const isWhole = opened.has(key) || all.length <= weighty.size + 2;
  const rows = isWhole ? all : all.filter(row => weighty.has(row) || hasKey(model, row, keys));
  const lit = litBy(page, state);
  const chosen = openedRef(model, state);
  const names = {unit: unitWords(model, place, unit)};
  const heading = pagePhrase(page, backward ? "weights.gradients" : "weights.weights", names);
  const summary = el("summary", {"data-key": "weights"}, heading);
  const part = el("details", {class: "weights-part"}, summary);
  const isLong = backward && model.steps * all.length * gates.length * model.cell(place).hidden > MOST_AT_ONCE;
  const isNeeded = lit.size > 0 || (backward && !isLong) || (chosen?.step === null && keys.has(refKey(chosen)));
  part.open = isNeeded ? !opened.has("weights hidden") : opened.has("weights shown");
  summary.addEventListener("click", event => {
    event.preventDefault();
    const [next, last] = part.open ? ["weights hidden", "weights shown"] : ["weights shown", "weights hidden"];
    opened.add(next);
    opened.delete(last);
    redraw();
  });
  if (!part.open) return part;
  if (isLong && !areSummed(page, parameters, redraw)) {
    part.append(el("p", {class: "soft"}, pagePhrase(page, "loss.computing")));
    return part;
  }
  const table = el(
    "table",
    {class: "weights"},
    el("caption", {class: "visually-hidden"}, heading),
    el(
      "thead",
      {},
      el("tr", {}, el("td", {}), ...gates.map(gate => el("th", {scope: "col"}, gateHead(page, place, gate)))),
    ),
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
      restButton(key, pagePhrase(page, rest > 0 ? "step.more" : "step.fewer", {count: rest}), opened, redraw),
    );
  return part;
}

/** Whether the sums of a long run are there; if not, they are computed one after the other, and then drawn.
 * @param {Page} page @param {Given[]} parameters @param {() => void} redraw */
function areSummed(page, parameters, redraw) {
  const {model, store} = page;
  const {layer, direction} = store.state;
  const place = [page.runs, layer, direction].join(" ");
  const last = summedPlaces.get(page);
  if (last?.place === place) return last.ready;
  const work = {place, ready: false};
  summedPlaces.set(page, work);
  const names = parameters.flatMap(({symbol}) => model.gradientName({layer, direction, name: symbol}) ?? []);
  const next = () => {
    if (summedPlaces.get(page) !== work || page.closed.aborted) return;
    if (!model.finish(SLICE_OF_SUMS)) return void setTimeout(next);
    const name = names.shift();
    if (name !== undefined) {
      model.value({layer, direction, name, step: null});
      return void setTimeout(next);
    }
    work.ready = true;
    redraw();
  };
  setTimeout(next);
  return false;
}

/** @param {Page} page @param {Place} place @param {string} gate */
function gateHead(page, place, gate) {
  if (!gate) return el("span", {class: "visually-hidden"}, pagePhrase(page, "weights.no gate"));
  return symbolElement(page.model.quantity({...place, name: gate}));
}

/** @param {Page} page @param {Ref | null} ref @param {boolean} backward @param {Map<string, Ref>} lit @param {Ref | null} chosen */
function weightCell(page, ref, backward, lit, chosen) {
  if (!ref) return el("td", {});
  const name = backward ? page.model.gradientName(ref) : ref.name;
  if (name === null) return el("td", {class: "soft"}, "0");
  const number = {...ref, name};
  const classes = [lit.has(refKey(ref)) ? "lit" : "", chosen && refKey(chosen) === refKey(number) ? "chosen" : ""];
  return el("td", {class: classes.join(" ").trim() || null}, anyNumber(page, number));
}
