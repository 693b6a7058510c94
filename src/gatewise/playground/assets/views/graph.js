/** A step's quantities in the order of what each equation needs. */
import {isJoint} from "../engine/terms.js";

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

/**
 * The graph of a step of one cell, or of the head. A node is `listed` if its entries stand below its name, `rest` are
 * left out; one that is `joint` only stacks vectors.
 * @param {Model} model @param {Place} place
 * @param {(name: string, axes: string[]) => {entries: number[][], rest: number}} entriesOf the entries of a vector: [] for one number, [unit], [feature]
 */
export function graphOf(model, {layer, direction}, entriesOf) {
  const place = {layer, direction};
  const needs = dependencies(model, place);
  const depth = depths(needs);
  const nodes = [...needs.keys()].map(name => {
    const joint = isJoint(model.equation({...place, name})?.right);
    const {entries, rest} = joint ? {entries: [], rest: 0} : entriesOf(name, model.axes({...place, name}));
    const isInput = entries[0]?.length === 1 && model.given({...place, name})?.kind === "input";
    const listed = entries.length > 1 || rest > 0 || isInput;
    return {name, column: depth.get(name) ?? 0, sources: needs.get(name) ?? [], listed, entries, rest, joint};
  });
  nodes.sort((first, second) => first.column - second.column);
  return {nodes, columns: Math.max(0, ...nodes.map(node => node.column)) + 1};
}
