/** The wires of a step's graph, drawn behind its numbers: forward to the right, backward to the left. */
import {svg} from "./dom.js";

/** @typedef {{xs: number[], width: number, lane: number}} Sizes  in sixteenths of a rem: where columns begin */

const LANE = 31;
const WIDTHS = {joint: 30, listed: 172, single: 118};
const ARROW = 7;

/** The width of a node. @param {GraphNode} node */
export function nodeWidth(node) {
  return node.joint ? WIDTHS.joint : node.height > 1 ? WIDTHS.listed : WIDTHS.single;
}

/** The places of a graph's columns. @param {Graph} graph @returns {Sizes} */
export function sizesFor(graph) {
  const gap = graph.columns <= 7 ? 62 : 46;
  const widths = Array.from({length: graph.columns}, (_, column) =>
    Math.max(...graph.nodes.filter(node => node.column === column).map(nodeWidth)),
  );
  let at = 0;
  const xs = widths.map(width => {
    at += width + gap;
    return at - width - gap;
  });
  return {xs, width: at - gap + 8, lane: LANE};
}

/** The right end of a node. @param {GraphNode} node @param {Sizes} sizes */
function nodeEnd(node, {xs}) {
  return xs[node.column] + nodeWidth(node);
}

/** @param {GraphNode} node @param {Sizes} sizes */
function nodeMiddle(node, {lane}) {
  return (node.top + node.height / 2) * lane;
}

/** A line through points, level where it passes each. @param {[number, number][]} points */
function flowing(points) {
  const [[x, y], ...rest] = points;
  let path = `M${x.toFixed(1)} ${y.toFixed(1)}`;
  let [fromX, fromY] = [x, y];
  for (const [toX, toY] of rest) {
    const bend = ((fromX + toX) / 2).toFixed(1);
    path += `C${bend} ${fromY.toFixed(1)} ${bend} ${toY.toFixed(1)} ${toX.toFixed(1)} ${toY.toFixed(1)}`;
    [fromX, fromY] = [toX, toY];
  }
  return path;
}

/** @param {number} x @param {number} y @param {1 | -1} sign */
function arrowHead(x, y, sign) {
  const back = x - sign * ARROW;
  return `M${x.toFixed(1)} ${y.toFixed(1)}L${back.toFixed(1)} ${(y - 3.5).toFixed(1)}V${(y + 3.5).toFixed(1)}Z`;
}

/** @param {Wire} wire @param {Sizes} sizes @param {boolean} backward
 * @param {(name: string) => string} hue the class of a quantity's hue */
function wireMark({from, to, through}, sizes, backward, hue) {
  const {xs, lane} = sizes;
  const start = nodeEnd(from, sizes) + 5;
  const end = xs[to.column] - 5;
  const [startY, endY] = [nodeMiddle(from, sizes), nodeMiddle(to, sizes)];
  /** @type {[number, number][]} */
  const passed = through.flatMap(([column, y]) => [
    [xs[column] - 5, y * lane],
    [(xs[column + 1] ?? xs[column]) - 40, y * lane],
  ]);
  const points = /** @type {[number, number][]} */ ([
    [backward ? start + ARROW : start, startY],
    ...passed,
    [backward ? end : end - ARROW, endY],
  ]);
  return svg(
    "g",
    {class: `wire ${hue(from.name)}`.trim(), "data-from": from.name, "data-to": to.name},
    svg("path", {class: "line", d: flowing(points)}),
    svg("path", {class: "head", d: backward ? arrowHead(start, startY, -1) : arrowHead(end, endY, 1)}),
  );
}

/** The wires of a graph. @param {Graph} graph @param {Sizes} sizes @param {boolean} backward
 * @param {(name: string) => string} hue the class of a quantity's hue */
export function wiresOf(graph, sizes, backward, hue) {
  const {lane, width} = sizes;
  const height = graph.lanes * lane;
  const brackets = graph.nodes
    .filter(node => node.height > 1)
    .map(node => {
      const x = nodeEnd(node, sizes) + 3;
      return svg("path", {
        class: "bracket",
        d: `M${x} ${((node.top + 1.1) * lane).toFixed(1)}V${((node.top + node.height - 0.1) * lane).toFixed(1)}`,
      });
    });
  const mark = svg(
    "svg",
    {class: "wires", viewBox: `0 0 ${width} ${height.toFixed(1)}`, "aria-hidden": "true", focusable: "false"},
    ...brackets,
    ...graph.wires.map(wire => wireMark(wire, sizes, backward, hue)),
  );
  mark.style.setProperty("width", `${width / 16}rem`);
  mark.style.setProperty("height", `${height / 16}rem`);
  return mark;
}
