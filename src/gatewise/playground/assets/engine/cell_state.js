/** The cell state in a program: what it is called under any variant, and its gradient. */
import {symbolsOf} from "./trees.js";

/** @typedef {import("./model.js").Model} Model */

/**
 * The names of the cell state: `sum` of what is kept and what is written, which zoneout or a clip sets apart from the
 * `state` that is carried; and the `gradient` of the loss with respect to it, that of the sum where the program has no other.
 * @param {Model} model @param {number} layer @param {number} direction
 */
export function cellStateOf(model, layer, direction) {
  const {carry} = model.layers[layer].cells[direction].program;
  for (const sum of model.order(layer, direction, false)) {
    const right = /** @type {any} */ (model.equation(layer, direction, sum)?.right);
    const used = right?.node === "sum" ? right.terms.flatMap(symbolsOf) : [];
    const carried = carry.find((/** @type {any} */ one) => used.includes("g") && used.includes(one.into));
    if (!carried) continue;
    const own = `d${carried.source}`;
    return {sum, state: carried.source, gradient: model.has(layer, direction, own) ? own : `d${sum}`};
  }
  return {sum: "c", state: "c", gradient: "dc"};
}
