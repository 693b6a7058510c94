/** One LSTM operator of an .onnx file, with constant weights: as much of the format as that takes. */

/** @typedef {Map<number, (bigint | Uint8Array)[]>} Message fields of Protocol Buffers, by their numbers */
/** @typedef {import("./own_cell.js").Tensor} Tensor */
/** @typedef {{type: string, domain: string, inputs: string[], outputs: string[], attributes: Map<string, Message>}} Operator */

const FLOAT = 1n; // among the types of tensors
const DOUBLE = 11n;
const GATE_ROWS = [0, 2, 3, 1]; // of i, f, g and o among ONNX's i, o, f and c
const LAYOUTS = ["Identity", "Transpose", "Squeeze", "Unsqueeze", "Cast"];
const REPEATED = [...LAYOUTS, "Reshape", "Expand", "Slice"]; // zeros stay zeros
const UNUSED = {lengths: 4, peepholes: 7}; // inputs of the operator
const STATES = [5, 6];
const DEFAULTS = ["Sigmoid", "Tanh", "Tanh"];

/** The fields of a message. @param {Uint8Array} bytes @returns {Message} */
function messageOf(bytes) {
  /** @type {Message} */
  const fields = new Map();
  let at = 0;
  const take = (/** @type {number} */ length) => {
    if (at + length > bytes.length) throw new Error("it is cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte] = take(1);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new Error("a number of more than ten bytes");
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const kind = key & 7;
    if (![0, 1, 2, 5].includes(kind)) throw new Error("no such kind of field");
    const value = kind === 0 ? varint() : take(kind === 2 ? Number(varint()) : kind === 1 ? 8 : 4);
    const values = fields.get(key >>> 3);
    if (values) values.push(value);
    else fields.set(key >>> 3, [value]);
  }
  return fields;
}

/** @param {Message} message @param {number} field */
const partsOf = (message, field) =>
  (message.get(field) ?? []).map(one => {
    if (typeof one === "bigint") throw new Error("a number in place of bytes");
    return one;
  });

/** @param {Message} message @param {number} field */
const textsOf = (message, field) => partsOf(message, field).map(part => new TextDecoder().decode(part));

/** The last number of a field, as the format has it. @param {Message | undefined} message @param {number} field */
const lastOf = (message, field) => message?.get(field)?.at(-1) ?? 0n;

/** Whole numbers that are packed into bytes or not. @param {Message} message @param {number} field */
function integersOf(message, field) {
  return (message.get(field) ?? []).flatMap(one => {
    if (typeof one === "bigint") return [Number(one)];
    /** @type {number[]} */
    const found = [];
    let value = 0;
    let scale = 1;
    for (const byte of one) {
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte >= 128) continue;
      found.push(value);
      [value, scale] = [0, 1];
    }
    return found;
  });
}

/** A tensor; null if it has another type, or is kept in another file. @param {Message} message @returns {Tensor | null} */
function tensorOf(message) {
  const type = lastOf(message, 2);
  const isDouble = type === DOUBLE;
  if ((!isDouble && type !== FLOAT) || lastOf(message, 14) !== 0n) return null;
  const shape = integersOf(message, 1);
  const parts = [...partsOf(message, 9), ...partsOf(message, isDouble ? 10 : 4)];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const data = isDouble ? new Float64Array(bytes.buffer) : Float64Array.from(new Float32Array(bytes.buffer));
  return data.length === shape.reduce((product, one) => product * one, 1) ? {shape, data} : null;
}

/** @param {Uint8Array} bytes @returns {Operator} */
function operatorOf(bytes) {
  const message = messageOf(bytes);
  return {
    type: textsOf(message, 4)[0] ?? "",
    domain: textsOf(message, 7)[0] ?? "",
    inputs: textsOf(message, 1),
    outputs: textsOf(message, 2),
    attributes: new Map(
      partsOf(message, 5)
        .map(messageOf)
        .map(one => [textsOf(one, 1)[0] ?? "", one]),
    ),
  };
}

/** The graph of a model: where its names come from. */
class Graph {
  /** @param {Uint8Array} file */
  constructor(file) {
    const [bytes] = partsOf(messageOf(file), 7);
    const graph = messageOf(bytes);
    this.operators = partsOf(graph, 1).map(operatorOf);
    this.sources = new Map(this.operators.flatMap(one => one.outputs.map(name => /** @type {const} */ ([name, one]))));
    const constants = partsOf(graph, 5).map(messageOf);
    this.constants = new Map(constants.map(one => [textsOf(one, 8)[0] ?? "", one]));
    if (this.constants.size < constants.length) throw new Error("two tensors of one name");
    this.given = new Set(partsOf(graph, 11).flatMap(one => textsOf(messageOf(one), 1)));
  }

  /** The tensor of a name that is constant; null of any other. @param {string} name @returns {Tensor | null} */
  tensor(name) {
    const constant = this.constants.get(name);
    if (constant) return tensorOf(constant);
    const source = this.sources.get(name);
    if (source?.type === "Identity") return this.tensor(source.inputs[0]);
    const value = source?.type === "Constant" ? source.attributes.get("value") : undefined;
    return value ? tensorOf(messageOf(partsOf(value, 5)[0])) : null;
  }

  /** Whether a name is the model's own input, at most laid out anew. @param {string} name @returns {boolean} */
  isInput(name) {
    const source = this.sources.get(name);
    if (!source) return this.given.has(name) && !this.constants.has(name);
    return LAYOUTS.includes(source.type) && this.isInput(source.inputs[0]);
  }

  /** Whether a name is a constant of zeros. @param {string} name @returns {boolean} */
  isZero(name) {
    const tensor = this.tensor(name);
    if (tensor) return tensor.data.every(one => one === 0);
    const source = this.sources.get(name);
    if (source?.type !== "ConstantOfShape")
      return source !== undefined && REPEATED.includes(source.type) && this.isZero(source.inputs[0]);
    const value = source.attributes.get("value");
    return !value || tensorOf(messageOf(partsOf(value, 5)[0]))?.data.every(one => one === 0) === true;
  }
}

/** Whether an operator is an LSTM without variants, from zeros or a state that users may give. @param {Graph} graph @param {Operator} operator */
function isPlain(graph, {inputs, attributes}) {
  const [direction] = textsOf(attributes.get("direction") ?? new Map(), 4);
  const names = textsOf(attributes.get("activations") ?? new Map(), 9);
  return (
    (direction ?? "forward") === "forward" &&
    (!names.length || String(names) === String(DEFAULTS)) &&
    !["clip", "activation_alpha", "activation_beta"].some(name => attributes.has(name)) &&
    lastOf(attributes.get("input_forget"), 3) === 0n &&
    Object.values(UNUSED).every(place => !inputs[place]) &&
    STATES.every(place => !inputs[place] || graph.isInput(inputs[place]) || graph.isZero(inputs[place])) &&
    graph.isInput(inputs[0])
  );
}

/**
 * Weights of [h; x] and biases, gate by gate, of the one LSTM of an .onnx file; null if it has another model. A file
 * that is cut off throws.
 * @param {ArrayBuffer} file @returns {{weight: Tensor, bias: Tensor} | null}
 */
export function gatesOfOnnx(file) {
  const graph = new Graph(new Uint8Array(file));
  const found = graph.operators.filter(({type}) => ["LSTM", "GRU", "RNN", "Loop", "Scan", "If"].includes(type));
  const [operator] = found;
  if (found.length !== 1 || operator.type !== "LSTM" || operator.domain || !isPlain(graph, operator)) return null;
  const [input, recurrent, bias] = operator.inputs.slice(1, 4).map(name => (name ? graph.tensor(name) : null));
  if (!input || !recurrent || (operator.inputs[3] && !bias)) return null;
  const [directions, rows, features] = input.shape;
  const hidden = rows / 4;
  if (directions !== 1 || String(recurrent.shape) !== String([1, rows, hidden])) return null;
  if (bias && String(bias.shape) !== String([1, 2 * rows])) return null;
  const columns = hidden + features;
  const data = new Float64Array(rows * columns);
  const sums = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const there = GATE_ROWS[Math.floor(row / hidden)] * hidden + (row % hidden);
    data.set(recurrent.data.subarray(there * hidden, (there + 1) * hidden), row * columns);
    data.set(input.data.subarray(there * features, (there + 1) * features), row * columns + hidden);
    sums[row] = bias ? bias.data[there] + bias.data[rows + there] : 0;
  }
  return {weight: {shape: [4, hidden, columns], data}, bias: {shape: [4, hidden], data: sums}};
}
