/** A step's quantities as a graph in columns, laid out from what each equation needs. */
import {isJoint} from "../engine/terms.js";

/** @typedef {{column: number, top: number, height: number, goal: number, order: number}} Box */

const SPACE = 0.35; // lanes between one node and the next

/** The names of a step's quantities with their sources, but for parameters and masks; what is given has none.
 * @param {Model} model @param {Place} place @returns {Map<string, string[]>} */
function dependencies(model, place) {
  const isInGraph = (/** @type {string} */ name) => {
    const kind = model.given({...place, name})?.kind;
    return kind === undefined || kind === "input" || kind === "state";
  };
  const computed = model.order(place, false);
  /** @type {[string, string[]][]} */
  const needs = computed.map(name => [name, model.inputs({...place, name}).filter(isInGraph)]);
  const sources = [...new Set(needs.flatMap(([, names]) => names))].filter(name => !computed.includes(name));
  const order = model.givens(place).map(({symbol}) => symbol);
  sources.sort((first, second) => order.indexOf(first) - order.indexOf(second));
  return new Map([...sources.map(name => /** @type {[string, string[]]} */ ([name, []])), ...needs]);
}

/** @param {Map<string, string[]>} needs @returns {Map<string, number>} the longest way from what is given to each */
function depths(needs) {
  /** @type {Map<string, number>} */
  const depth = new Map();
  for (const [name, sources] of needs) {
    depth.set(name, Math.max(-1, ...sources.map(source => depth.get(source) ?? 0)) + 1);
  }
  return depth;
}

/** Put boxes of one column below each other, each as near to where it wants to be as the others let it.
 * @param {Box[]} boxes */
function stackUp(boxes) {
  boxes.sort((a, b) => a.goal - b.goal || a.order - b.order);
  /** @type {{boxes: Box[], height: number, sum: number, top: number}[]} */
  const blocks = [];
  for (const box of boxes) {
    let block = {boxes: [box], height: box.height + SPACE, sum: box.goal - box.height / 2, top: 0};
    block.top = block.sum;
    for (let last = blocks.at(-1); last && last.top + last.height > block.top; last = blocks.at(-1)) {
      blocks.pop();
      const count = last.boxes.length + block.boxes.length;
      const sum = last.sum + block.sum - block.boxes.length * last.height;
      block = {boxes: [...last.boxes, ...block.boxes], height: last.height + block.height, sum, top: sum / count};
    }
    blocks.push(block);
  }
  for (const {boxes: members, top} of blocks) {
    let at = top;
    for (const box of members) {
      box.top = at;
      at += box.height + SPACE;
    }
  }
}

/** @param {Box} box */
function boxMiddle(box) {
  return box.top + box.height / 2;
}

/** Lay out all nodes, and where wires pass that cross more than one column.
 * @param {GraphNode[]} nodes @param {Map<string, string[]>} needs @returns {Wire[]} */
function layOut(nodes, needs) {
  const named = new Map(nodes.map(node => [node.name, node]));
  /** @type {Map<string, Box[]>} the boxes that a quantity's wire keeps free on its way, one a column */
  const lanes = new Map(nodes.map(node => [node.name, []]));
  const columns = Math.max(0, ...nodes.map(node => node.column)) + 1;
  const target = (/** @type {string} */ source) =>
    Math.max(...nodes.filter(node => needs.get(node.name)?.includes(source)).map(node => node.column), 0);
  for (let column = 0; column < columns; column += 1) {
    /** @type {Box[]} */
    const boxes = [];
    nodes.forEach((node, order) => {
      const boxBefore = (/** @type {string} */ source) =>
        lanes.get(source)?.[column - (named.get(source)?.column ?? 0) - 2] ?? named.get(source);
      if (node.column === column) {
        const sources = (needs.get(node.name) ?? []).map(boxBefore).filter(box => box !== undefined);
        const goal = sources.length ? sources.reduce((sum, box) => sum + boxMiddle(box), 0) / sources.length : order;
        boxes.push(Object.assign(node, {goal, order}));
      } else if (node.column < column && target(node.name) > column) {
        const passed = lanes.get(node.name) ?? [];
        const box = {column, top: 0, height: 0.4, goal: boxMiddle(passed.at(-1) ?? node), order};
        passed.push(box);
        boxes.push(box);
      }
    });
    stackUp(boxes);
  }
  const all = [...nodes, ...[...lanes.values()].flat()];
  const highest = Math.min(...all.map(box => box.top));
  for (const box of all) box.top -= highest;
  return nodes.flatMap(node =>
    (needs.get(node.name) ?? []).flatMap(source => {
      const from = named.get(source);
      if (!from) return [];
      const boxes = (lanes.get(source) ?? []).filter(box => box.column < node.column);
      return [
        {from, to: node, through: boxes.map(box => /** @type {[number, number]} */ ([box.column, boxMiddle(box)]))},
      ];
    }),
  );
}

/**
 * The graph of a step of one cell, or of the head.
 * @param {Model} model @param {Place} place
 * @param {(name: string, axes: string[]) => {entries: number[][], rest: number}} entriesOf the entries of a vector
 * @returns {Graph}
 */
export function graphOf(model, {layer, direction}, entriesOf) {
  const place = {layer, direction};
  const needs = dependencies(model, place);
  const depth = depths(needs);
  const nodes = [...needs.keys()].map(name => {
    const joint = isJoint(model.equation({...place, name})?.right);
    const {entries, rest} = joint ? {entries: [], rest: 0} : entriesOf(name, model.axes({...place, name}));
    const isInput = entries[0]?.length === 1 && model.given({...place, name})?.kind === "input";
    const isListed = entries.length > 1 || rest > 0 || isInput;
    const height = isListed ? entries.length + 1 + (rest > 0 ? 1 : 0) : 1;
    const isGiven = needs.get(name)?.length === 0;
    return {
      name,
      column: depth.get(name) ?? 0,
      top: 0,
      height,
      entries,
      rest,
      given: isGiven,
      joint,
      goal: 0,
      order: 0,
    };
  });
  const wires = layOut(nodes, needs);
  const lanes = Math.max(1, ...nodes.map(node => node.top + node.height));
  return {nodes, wires, columns: Math.max(0, ...nodes.map(node => node.column)) + 1, lanes};
}
