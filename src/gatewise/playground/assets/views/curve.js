/** The curve of a nonlinearity, evaluated from the program's own tree, with the point on it. */
import {isHidden} from "./visibility.js";
import {el, svg} from "./dom.js";
import {evaluate} from "../engine/evaluate.js";
import {OVER_A_VECTOR} from "../engine/functions.js";
import {figure} from "../engine/figures.js";
import {symbolElement} from "./detail.js";
import {isSoftmax, treeText} from "./products.js";
import {knownOf} from "../engine/terms.js";
import {partsOf, symbolsOf} from "../engine/trees.js";
import {pagePhrase, phraseNodes} from "./phrases.js";

const CURVE_WIDE = 272;
const CURVE_HIGH = 168;
const MARGIN = {left: 34, right: 10, top: 12, bottom: 26};
const SAMPLES = 161;
const NEAR = 6;

/** The outermost call in an equation that is a function of one entry of one symbol. @param {Tree} tree
 * @returns {Extract<Tree, {node: "call"}> | undefined} */
function callIn(tree) {
  const isCall = tree.node === "call" && tree.name !== "sqrt" && tree.arguments.length > 0 && !takesVectors(tree);
  if (isCall && symbolsOf(tree).length === 1) return tree;
  return partsOf(tree).map(callIn).find(Boolean);
}

/** Whether something in a tree takes all entries of a vector. @param {Tree} tree @returns {boolean} */
function takesVectors(tree) {
  return (tree.node === "call" && Object.hasOwn(OVER_A_VECTOR, tree.name)) || partsOf(tree).some(takesVectors);
}

/** The curve of a number's nonlinearity with its point, or null if its equation has none.
 * @param {Page} page @param {Ref} ref */
export function curveFigure(page, ref) {
  const {model} = page;
  const right = model.equation(ref)?.right;
  const others = isSoftmax(model, ref); // which stay as they are
  const call = right && (others ? right : callIn(right));
  if (!call || ref.step === null) return null;
  const [name] = symbolsOf(call);
  if (model.shape({...ref, name}).length !== 1 || ref.at.length !== 1) return null;
  if (isHidden(page.store.state, ref) || isHidden(page.store.state, {...ref, name})) return null;
  const x = model.number({...ref, name});
  if (!Number.isFinite(x)) return null;
  const known = knownOf(model, ref);
  /** @param {Float64Array} data */
  const valuesAt = data =>
    others ? data.map(withOthers) : evaluate(call, {[name]: {shape: [data.length], data}}, known).data;
  /** @param {number} value */
  const withOthers = value => {
    const data = Float64Array.from(model.value({...ref, name}));
    data[ref.at[0]] = value;
    return evaluate(call, {[name]: {shape: [data.length], data}}, known).data[ref.at[0]];
  };
  const reach = Math.max(NEAR, Math.abs(x) * 1.15);
  const xs = Float64Array.from({length: SAMPLES}, (_, k) => -reach + (2 * reach * k) / (SAMPLES - 1));
  const ys = valuesAt(xs);
  const [y] = valuesAt(Float64Array.of(x));
  const finite = [...ys].filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...finite), Math.max(...finite)];
  const across = (/** @type {number} */ value) =>
    MARGIN.left + ((value + reach) / (2 * reach)) * (CURVE_WIDE - MARGIN.left - MARGIN.right);
  const up = (/** @type {number} */ value) =>
    CURVE_HIGH - MARGIN.bottom - ((value - low) / (high - low || 1)) * (CURVE_HIGH - MARGIN.top - MARGIN.bottom);
  return el(
    "figure",
    {class: "curve"},
    drawCurve(page, {xs, ys, x, y, low, high, reach, across, up, call: others ? ref.name : treeText(call), name}),
    el(
      "figcaption",
      {},
      ...phraseNodes(page, others ? "curve.of others" : "curve.caption", {
        function: call.node === "call" ? call.name : "",
        symbol: symbolElement(model.quantity({...ref, name})),
        x: figure(x, 4),
        y: figure(y, 4),
      }),
    ),
  );
}

/** @param {Page} page @param {{xs: Float64Array, ys: Float64Array, x: number, y: number, low: number, high: number,
 *   reach: number, across: (x: number) => number, up: (y: number) => number, call: string, name: string}} curve */
function drawCurve(page, {xs, ys, x, y, low, high, reach, across, up, call, name}) {
  let line = "";
  xs.forEach((at, k) => {
    if (Number.isFinite(ys[k])) line += `${line ? "L" : "M"}${across(at).toFixed(1)} ${up(ys[k]).toFixed(1)}`;
  });
  const base = up(Math.min(Math.max(0, low), high));
  const ticks = [...new Set([low, 0, high])].filter(value => value >= low && value <= high);
  const label = pagePhrase(page, "curve.label", {function: call, name, x: figure(x, 4), y: figure(y, 4)});
  return svg(
    "svg",
    {viewBox: `0 0 ${CURVE_WIDE} ${CURVE_HIGH}`, role: "img", "aria-label": label},
    ...ticks.map(value =>
      svg(
        "g",
        {class: "tick"},
        svg("path", {d: `M${MARGIN.left} ${up(value).toFixed(1)}H${CURVE_WIDE - MARGIN.right}`}),
        svg("text", {x: MARGIN.left - 6, y: up(value) + 4, "text-anchor": "end"}, figure(value, 2)),
      ),
    ),
    svg("g", {class: "tick"}, svg("path", {d: `M${across(0).toFixed(1)} ${MARGIN.top}V${CURVE_HIGH - MARGIN.bottom}`})),
    ...[-reach, 0, reach].map(value =>
      svg(
        "text",
        {
          class: "axis",
          x: across(value),
          y: CURVE_HIGH - 9,
          "text-anchor": value < 0 ? "start" : value > 0 ? "end" : "middle",
        },
        figure(Math.round(value * 10) / 10, 1),
      ),
    ),
    svg("path", {class: "drop", d: `M${across(x).toFixed(1)} ${base.toFixed(1)}V${up(y).toFixed(1)}H${MARGIN.left}`}),
    svg("path", {class: "line", d: line}),
    svg("circle", {class: "point", cx: across(x).toFixed(1), cy: up(y).toFixed(1), r: 5}),
  );
}
