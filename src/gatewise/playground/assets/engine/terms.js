/** The terms of a number: of its equation, each with its factors, and where those came from. */
import {evaluate} from "./evaluate.js";
import {symbolsOf} from "./trees.js";

/** The values of a tree's symbols in the step of a number. @param {Model} model @param {StepRef} ref @param {Tree} tree */
function valuesFor(model, ref, tree) {
  return Object.fromEntries(
    symbolsOf(tree).map(name => {
      const symbol = {...ref, name};
      const step = model.isOverall(symbol) ? null : ref.step;
      return [name, {shape: model.shape(symbol), data: model.value({...symbol, step})}];
    }),
  );
}

/** The nonlinearities of a place's program. @param {Model} model @param {Place} place */
export function knownOf(model, place) {
  return {nonlinearities: model.isHead(place) ? [] : model.cell(place).program.nonlinearities};
}

/** The terms of one number's equation; of a sum over steps, those of one step. @param {Model} model @param {Ref} ref
 * @param {number | null} [step] @returns {Term[]} */
export function termsOf(model, ref, step = ref.step) {
  const equation = model.equation(ref);
  return equation ? new Expansion(model, {...ref, step}).terms(equation.right, ref.at) : [];
}

/** The terms and factors of formulas at one step of a place. */
class Expansion {
  /** @param {Model} model @param {StepRef} ref */
  constructor(model, ref) {
    this.model = model;
    this.ref = ref;
    /** @type {Map<Tree, Values>} */
    this.known = new Map();
  }

  /** @param {Tree} tree @param {number[]} at @returns {Term[]} */
  terms(tree, at) {
    switch (tree.node) {
      case "sum":
        return tree.terms.flatMap(term => this.terms(term, at));
      case "negative":
        return this.terms(tree.term, at).map(term => ({...term, value: -term.value, negative: !term.negative}));
      case "slope":
        return this.terms(tree.body, at);
      case "matmul":
        return this.products(tree, at);
      case "outer":
        return [productTerm([this.factor(tree.left, at.slice(0, 1)), this.factor(tree.right, at.slice(1))])];
      case "product":
        return [productTerm(flatFactors(tree).map(factor => this.factor(factor, at)))];
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

  /** A matrix times a vector, or a vector times a matrix. @param {Extract<Tree, {node: "matmul"}>} product @param {number[]} at */
  products({left, right}, at) {
    const isMatrixFirst = this.shape(left).length === 2;
    return Array.from({length: this.shape(right)[0]}, (_, k) =>
      productTerm(
        isMatrixFirst
          ? [this.factor(left, [at[0], k]), this.factor(right, [k])]
          : [this.factor(left, [k]), this.factor(right, [k, at[0]])],
      ),
    );
  }

  /** @param {Tree} tree @returns {number[]} */
  shape(tree) {
    if (tree.node === "transpose") return [...this.shape(tree.matrix)].reverse();
    return tree.node === "symbol" ? this.model.shape({...this.ref, name: tree.text}) : this.value(tree).shape;
  }

  /** @param {Tree} tree */
  value(tree) {
    let value = this.known.get(tree);
    if (!value) {
      value = evaluate(tree, valuesFor(this.model, this.ref, tree), knownOf(this.model, this.ref));
      this.known.set(tree, value);
    }
    return value;
  }

  /** One entry of a factor. @param {Tree} tree @param {number[]} at @returns {Factor} */
  factor(tree, at) {
    if (tree.node === "transpose") return this.factor(tree.matrix, [...at].reverse());
    if (tree.node === "part") return this.factor(tree.vector, [at[0] + Number(tree.start)]);
    const shape = this.shape(tree);
    const place = at.slice(at.length - shape.length);
    const index = place.reduce((sum, n, axis) => sum * shape[axis] + n, 0);
    if (tree.node !== "symbol") return {tree, value: this.value(tree).data[index], ref: null};
    const symbol = {...this.ref, name: tree.text, at: place};
    const ref = this.model.isOverall(symbol) ? {...symbol, step: null} : symbol;
    return {tree, value: this.model.value(ref)[index], ref};
  }
}

/** @param {Factor[]} factors @returns {Term} */
function productTerm(factors) {
  return {factors, value: factors.reduce((product, factor) => product * factor.value, 1), negative: false};
}

/** The factors of a product, with those of a derivative that is a product. @param {Tree} tree @returns {Tree[]} */
export function flatFactors(tree) {
  if (tree.node === "slope") return flatFactors(tree.body);
  return tree.node === "product" ? tree.factors.flatMap(flatFactors) : [tree];
}

/** Whether a tree only stacks symbols. @param {Tree | undefined} tree @returns {tree is Extract<Tree, {node: "stack"}>} */
export function isJoint(tree) {
  return tree?.node === "stack" && tree.parts.every(part => part.node === "symbol");
}

/** The vectors that a quantity only stacks, from the top; none if it does more. @param {Model} model @param {NameRef} ref */
export function stackedIn(model, ref) {
  const right = model.equation(ref)?.right;
  if (!isJoint(right)) return [];
  return right.parts.flatMap(symbolsOf).map(name => ({name, size: model.shape({...ref, name})[0]}));
}

// Where numbers come from, and where they go.

/** The step after one, as the direction of its cell goes, or the step before (-1); null beyond the ends.
 * @param {Model} model @param {Ref} ref @param {1 | -1} by */
function neighbour(model, ref, by) {
  if (ref.step === null || model.isHead(ref)) return null;
  const step = ref.step + (model.cell(ref).direction === "backward" ? -by : by);
  return step < 0 || step >= model.steps ? null : step;
}

/** The origin of a number that is only handed on: x or h below a stack, h of the step before, the layer below.
 * @param {Model} model @param {Ref} ref @returns {Ref | null} */
export function handedOn(model, ref) {
  if (model.isHead(ref)) return intoHead(model, ref);
  if (model.equation(ref)) {
    let [index] = ref.at;
    for (const {name, size} of stackedIn(model, ref)) {
      if (index < size) return {...ref, name, at: [index]};
      index -= size;
    }
    return null;
  }
  const {program} = model.cell(ref);
  const carried = [...program.carry, ...program.carry_backward].find(({into}) => into === ref.name);
  if (carried) {
    const step = neighbour(model, ref, model.isGradient(ref) ? 1 : -1);
    return step === null ? null : {...ref, name: carried.source, step};
  }
  const isInput = model.given(ref)?.kind === "input";
  return isInput && ref.layer > 0 && ref.step !== null ? mergedEntry(model, ref.layer - 1, ref.at[0], ref.step) : null;
}

/** The number of a cell that the head reads, or that is added to its output. @param {Model} model @param {Ref} ref
 * @returns {Ref | null} */
function intoHead(model, ref) {
  const {read, skipped} = model.roles(ref);
  if (ref.step === null) return null;
  if (ref.name === skipped) {
    const place = {layer: 0, direction: ref.direction};
    const at = [model.wiring.head?.skip === 1 ? 0 : ref.at[0]];
    return {...place, name: model.roles(place).input, step: ref.step, at};
  }
  if (ref.name !== read) return null;
  const entry = mergedEntry(model, model.layers.length - 1, ref.at[0], ref.step);
  return entry && model.readsLast ? {...entry, step: lastStep(model, entry)} : entry;
}

/** The numbers of the neighbouring step to which a number is carried. @param {Model} model @param {Ref} ref
 * @returns {(Ref & {step: number})[]} */
export function carriedTo(model, ref) {
  if (model.isHead(ref)) return [];
  const {carry, carry_backward: back} = model.cell(ref).program;
  /** @param {Carry[]} carries @param {number | null} step */
  const into = (carries, step) =>
    step === null
      ? []
      : carries.filter(({source}) => source === ref.name).map(({into: name}) => ({...ref, name, step}));
  return [...into(carry, neighbour(model, ref, 1)), ...into(back, neighbour(model, ref, -1))];
}

/** The last valid step of a cell, as its direction goes. @param {Model} model @param {Place} place */
function lastStep(model, place) {
  const {valid} = model.wiring;
  if (model.cell(place).direction === "backward") return valid?.indexOf(1) ?? 0;
  return valid?.lastIndexOf(1) ?? model.steps - 1;
}

/** The hidden state that is an entry of a layer's output; null where directions are merged into one number.
 * @param {Model} model @param {number} layer @param {number} index @param {number} step @returns {Ref | null} */
function mergedEntry(model, layer, index, step) {
  const {cells} = model.layers[layer];
  if (cells.length > 1 && model.wiring.merging[layer] !== "concat") return null;
  const direction = index < cells[0].recurrent ? 0 : 1;
  const at = direction ? index - cells[0].recurrent : index;
  if (at >= (cells[direction]?.recurrent ?? 0)) return null;
  return {layer, direction, name: model.roles({layer, direction}).hidden_state, step, at: [at]};
}

const MERGES = ["sum", "mul", "average"];

/** The hidden states of both directions whose sum, product or average an input of a layer above, or of the head, is;
 * null for other numbers. @param {Model} model @param {Ref | undefined} ref */
export function mergedFrom(model, ref) {
  if (!ref || ref.step === null || ref.layer === 0) return null;
  const {step, at} = ref;
  const inHead = model.isHead(ref);
  const isRead = inHead ? ref.name === model.roles(ref).read : model.given(ref)?.kind === "input";
  const layer = ref.layer - 1;
  const how = model.wiring.merging[layer];
  const {cells} = model.layers[layer];
  if (!isRead || !MERGES.includes(how) || cells.length < 2) return null;
  const parts = cells.map((_, direction) => {
    const place = {layer, direction};
    const last = inHead && model.readsLast ? lastStep(model, place) : step;
    return {...place, name: model.roles(place).hidden_state, step: last, at};
  });
  return {how, parts};
}

const LONGEST_ORIGIN = 4;

/** A number, and all from which it was only handed on. @param {Model} model @param {Ref} ref */
export function origins(model, ref) {
  /** @type {Ref[]} */
  const refs = [];
  for (let origin = /** @type {Ref | null} */ (ref); origin && refs.length < LONGEST_ORIGIN; ) {
    refs.push(origin);
    origin = handedOn(model, origin);
  }
  return refs;
}
