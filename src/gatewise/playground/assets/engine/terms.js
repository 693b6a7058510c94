/** What a number is the sum of: the terms of its equation, each with its factors, and where those came from. */
import {evaluate} from "./evaluate.js";
import {isJoint} from "../views/graph.js";
import {givenOf, isHead, isOverall} from "../views/detail.js";
import {symbolsOf} from "./trees.js";

/** @typedef {import("../views/store.js").Ref} Ref */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {{tree: any, value: number, ref: Ref | null}} Factor  ref is null for what is no entry of a quantity */
/** @typedef {{factors: Factor[], value: number, negative: boolean}} Term */

/** The values of a tree's symbols in the step of a number.
 * @param {Model} model @param {Ref} ref @param {any} tree @param {number | null} step */
function valuesFor(model, ref, tree, step) {
  return Object.fromEntries(
    symbolsOf(tree).map(name => {
      const {layer, direction} = ref;
      const data = model.value(layer, direction, name, isOverall(model, layer, direction, name) ? null : step);
      return [name, {shape: model.shape(layer, direction, name), data}];
    }),
  );
}

/** The nonlinearities of a place's program. @param {Model} model @param {Ref} ref */
export function knownOf(model, ref) {
  if (isHead(model, ref.layer)) return {nonlinearities: []};
  return {nonlinearities: model.layers[ref.layer].cells[ref.direction].program.nonlinearities};
}

/** The terms of one number's equation.
 * @param {Model} model @param {Ref} ref @param {number | null} [step] for what is a sum over steps: the term of which step
 * @returns {Term[]} */
export function termsOf(model, ref, step = ref.step) {
  const equation = model.equation(ref.layer, ref.direction, ref.name);
  if (!equation) return [];
  const context = new Context(model, ref, step);
  return context.terms(equation.right, ref.at);
}

class Context {
  /** @param {Model} model @param {Ref} place @param {number | null} step */
  constructor(model, place, step) {
    this.model = model;
    this.place = place;
    this.step = step;
    /** @type {Map<any, {shape: number[], data: Float64Array}>} */
    this.known = new Map();
  }

  /** @param {any} tree @param {number[]} at @returns {Term[]} */
  terms(tree, at) {
    switch (tree.node) {
      case "sum":
        return tree.terms.flatMap((/** @type {any} */ term) => this.terms(term, at));
      case "negative":
        return this.terms(tree.term, at).map(term => ({...term, value: -term.value, negative: !term.negative}));
      case "slope":
        return this.terms(tree.body, at);
      case "matmul":
        return this.products(tree, at);
      case "outer":
        return [productTerm([this.factor(tree.left, at.slice(0, 1)), this.factor(tree.right, at.slice(1))])];
      case "product":
        return [productTerm(flatFactors(tree).map(one => this.factor(one, at)))];
      case "stack": {
        let offset = at[0];
        for (const part of tree.parts) {
          const [size] = this.shape(part);
          if (offset < size) return this.terms(part, [offset]);
          offset -= size;
        }
        return [];
      }
      default:
        return [productTerm([this.factor(tree, at)])];
    }
  }

  /** @param {any} tree a matrix times a vector, or a vector times a matrix @param {number[]} at */
  products({left, right}, at) {
    const shapes = [this.shape(left), this.shape(right)];
    const count = shapes[1][0];
    return Array.from({length: count}, (_, k) =>
      productTerm(
        shapes[0].length === 2
          ? [this.factor(left, [at[0], k]), this.factor(right, [k])]
          : [this.factor(left, [k]), this.factor(right, [k, at[0]])],
      ),
    );
  }

  /** @param {any} tree @returns {number[]} */
  shape(tree) {
    if (tree.node === "transpose") return [...this.shape(tree.matrix)].reverse();
    const {layer, direction} = this.place;
    return tree.node === "symbol" ? this.model.shape(layer, direction, tree.text) : this.whole(tree).shape;
  }

  /** @param {any} tree */
  whole(tree) {
    let value = this.known.get(tree);
    if (!value) {
      value = evaluate(tree, valuesFor(this.model, this.place, tree, this.step), knownOf(this.model, this.place));
      this.known.set(tree, value);
    }
    return value;
  }

  /** One entry of what is multiplied. @param {any} tree @param {number[]} at @returns {Factor} */
  factor(tree, at) {
    const {layer, direction} = this.place;
    if (tree.node === "transpose") return this.factor(tree.matrix, [...at].reverse());
    if (tree.node === "part") return this.factor(tree.vector, [at[0] + tree.start]);
    const shape = tree.node === "symbol" ? this.model.shape(layer, direction, tree.text) : this.whole(tree).shape;
    const own = at.slice(at.length - shape.length);
    const index = own.reduce((sum, one, axis) => sum * shape[axis] + one, 0);
    if (tree.node !== "symbol") return {tree, value: this.whole(tree).data[index], ref: null};
    const name = tree.text;
    const step = isOverall(this.model, layer, direction, name) ? null : this.step;
    const value = this.model.value(layer, direction, name, step)[index];
    return {tree, value, ref: {layer, direction, name, step, at: own}};
  }
}

/** @param {Factor[]} factors @returns {Term} */
function productTerm(factors) {
  return {factors, value: factors.reduce((product, one) => product * one.value, 1), negative: false};
}

/** @param {any} tree @returns {any[]} the factors of a product, those of a derivative that is a product among them */
export function flatFactors(tree) {
  if (tree.node === "slope") return flatFactors(tree.body);
  return tree.node === "product" ? tree.factors.flatMap(flatFactors) : [tree];
}

/** The step before one, as the direction of a place goes, or null at its first.
 * @param {Model} model @param {Ref} ref */
function stepBefore(model, ref) {
  if (ref.step === null || isHead(model, ref.layer)) return null;
  const backward = model.layers[ref.layer].cells[ref.direction].direction === "backward";
  const step = ref.step + (backward ? 1 : -1);
  return step < 0 || step >= model.steps ? null : step;
}

/** The vectors that a quantity only stacks, from the top; none if it does more.
 * @param {Model} model @param {number} layer @param {number} direction @param {string} name */
export function stackedIn(model, layer, direction, name) {
  const right = /** @type {any} */ (model.equation(layer, direction, name)?.right);
  if (!isJoint(right)) return [];
  return right.parts.map((/** @type {any} */ part) => ({
    name: part.text,
    size: model.shape(layer, direction, part.text)[0],
  }));
}

/** Where a number comes from that is only handed on: x or h below a stack, h of the step before, the layer below.
 * @param {Model} model @param {Ref} ref @returns {Ref | null} */
export function handedOn(model, ref) {
  if (isHead(model, ref.layer)) {
    if (ref.step === null) return null;
    if (ref.name === "s") return {...ref, layer: 0, name: "x", at: [model.wiring.head?.skip === 1 ? 0 : ref.at[0]]};
    if (ref.name !== "r") return null;
    const read = mergedEntry(model, model.layers.length - 1, ref.at[0], ref.step);
    return read && model.readsLast ? {...read, step: lastStep(model, read)} : read;
  }
  const equation = model.equation(ref.layer, ref.direction, ref.name);
  if (equation) {
    let [index] = ref.at;
    for (const {name, size} of stackedIn(model, ref.layer, ref.direction, ref.name)) {
      if (index < size) return {...ref, name, at: [index]};
      index -= size;
    }
    return null;
  }
  const {program} = model.layers[ref.layer].cells[ref.direction];
  const gradient = ref.name.startsWith("d");
  const carried = [...program.carry, ...program.carry_backward].find((/** @type {any} */ one) => one.into === ref.name);
  if (carried) {
    const step = gradient ? stepAfter(model, ref) : stepBefore(model, ref);
    return step === null ? null : {...ref, name: carried.source, step};
  }
  const isInput = givenOf(model, ref.layer, ref.direction, ref.name)?.kind === "input";
  return isInput && ref.layer > 0 && ref.step !== null ? mergedEntry(model, ref.layer - 1, ref.at[0], ref.step) : null;
}

/** The numbers of the step after to which a number is carried: h_prev and c_prev; backward, of the step before.
 * @param {Model} model @param {Ref} ref @returns {Ref[]} */
export function carriedTo(model, ref) {
  if (isHead(model, ref.layer)) return [];
  const {program} = model.layers[ref.layer].cells[ref.direction];
  return [
    [program.carry, stepAfter(model, ref)],
    [program.carry_backward, stepBefore(model, ref)],
  ].flatMap(([carries, step]) =>
    step === null
      ? []
      : /** @type {any[]} */ (carries)
          .filter(one => one.source === ref.name)
          .map(one => ({...ref, name: one.into, step: /** @type {number} */ (step)})),
  );
}

/** @param {Model} model @param {Ref} ref */
function stepAfter(model, ref) {
  if (ref.step === null) return null;
  const backward = model.layers[ref.layer].cells[ref.direction].direction === "backward";
  const step = ref.step + (backward ? -1 : 1);
  return step < 0 || step >= model.steps ? null : step;
}

/** The step that ends the run of a cell: the last one that is valid, as its direction goes. @param {Model} model @param {Ref} ref */
function lastStep(model, {layer, direction}) {
  const {valid} = model.wiring;
  const backward = model.layers[layer].cells[direction].direction === "backward";
  return backward ? (valid?.indexOf(1) ?? 0) : (valid?.lastIndexOf(1) ?? model.steps - 1);
}

/** The hidden state that an entry of a layer's output is, where it is one.
 * @param {Model} model @param {number} layer @param {number} index @param {number} step @returns {Ref | null} */
function mergedEntry(model, layer, index, step) {
  const {cells} = model.layers[layer];
  const how = model.doc?.wiring?.merge?.[layer]?.how;
  if (cells.length > 1 && how !== "concat") return null;
  const direction = index < cells[0].recurrent ? 0 : 1;
  const at = direction ? index - cells[0].recurrent : index;
  return at < (cells[direction]?.recurrent ?? 0) ? {layer, direction, name: "h", step, at: [at]} : null;
}

const MERGES = /** @type {Record<string, string>} */ ({sum: "the sum", mul: "the product", average: "the average"});

/** The hidden states of both directions that an input of a layer above, or of the head, is made of, and how; null where
 * they are not merged into one number. @param {Model} model @param {Ref | undefined} ref */
export function mergedFrom(model, ref) {
  if (!ref || ref.step === null || ref.layer === 0) return null;
  const {step, at} = ref;
  const inHead = isHead(model, ref.layer);
  if (inHead ? ref.name !== "r" : givenOf(model, ref.layer, ref.direction, ref.name)?.kind !== "input") return null;
  const layer = ref.layer - 1;
  const how = MERGES[model.doc?.wiring?.merge?.[layer]?.how];
  const {cells} = model.layers[layer];
  if (!how || cells.length < 2) return null;
  const parts = cells.map((_, direction) => ({layer, direction, name: "h", step, at}));
  return {how, parts: parts.map(one => (inHead && model.readsLast ? {...one, step: lastStep(model, one)} : one))};
}

/** A number, and all from which it was only handed on. @param {Model} model @param {Ref} ref */
export function ways(model, ref) {
  /** @type {Ref[]} */
  const found = [];
  /** @type {Ref | null} */
  let one = ref;
  while (one && found.length < 4) {
    found.push(one);
    one = handedOn(model, one);
  }
  return found;
}
