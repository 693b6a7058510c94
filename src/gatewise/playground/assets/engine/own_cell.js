/** A model's file that is read in the browser: one plain LSTM layer, and a table for its input. */
import {gatesOfOnnx} from "./onnx_file.js";

export const MOST_UNITS = 64;
const MOST_STEPS = 2000;
const GATES = ["i", "f", "g", "o"];
const TIMES = /^(time|date|datum|zeit)$/i;

/** @typedef {{hidden: number, features: number, parameters: Record<string, NestedNumbers>}} OwnCell */
/** @typedef {{rows: number[][], features: string[] | null, times: string[] | null}} Table */
/** @typedef {{shape: number[], data: Float64Array}} Tensor */

/** Numbers of a tensor; null where this page cannot read their type. @param {ArrayBuffer} bytes @param {string} dtype */
function numbersOf(bytes, dtype) {
  if (dtype === "F64") return new Float64Array(bytes);
  if (dtype === "F32") return Float64Array.from(new Float32Array(bytes));
  if (dtype !== "BF16") return null;
  const wide = Uint32Array.from(new Uint16Array(bytes), half => half << 16);
  return Float64Array.from(new Float32Array(wide.buffer));
}

/**
 * The tensors of a .safetensors file, and its metadata. @param {ArrayBuffer} file
 * @returns {{tensors: Map<string, Tensor>, metadata: Record<string, string>}}
 */
function safetensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const {__metadata__: metadata = {}, ...entries} = JSON.parse(
    new TextDecoder().decode(new Uint8Array(file, 8, length)),
  );
  const start = 8 + length;
  const tensors = new Map();
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of Object.entries(entries)) {
    const data = numbersOf(file.slice(start + from, start + to), dtype);
    const size = shape.reduce((/** @type {number} */ product, /** @type {number} */ one) => product * one, 1);
    if (data !== null && data.length === size) tensors.set(name, {shape, data});
  }
  return {tensors, metadata};
}

/** Whether gatewise's description of a cell is that of an LSTM without variants. @param {Record<string, any>} variant */
function isPlain(variant) {
  return Object.entries(variant).every(([key, value]) => {
    if (value === null || value === "none") return true;
    const isTanh = ["candidate_activation", "cell_activation"].includes(key);
    return key.endsWith("_activation") && value.name === (isTanh ? "tanh" : "sigmoid") && value.alpha === null;
  });
}

/** Weights of [h; x] and biases, gate by gate, as gatewise and PyTorch write them; null: another layout.
 * @param {ReturnType<typeof safetensors>} file @returns {{weight: Tensor, bias: Tensor} | null} */
function gatesOf({tensors, metadata}) {
  const [weight, bias] = ["weight", "bias"].map(name => tensors.get(`layers.0.forward.${name}`));
  if (weight && bias) {
    const {layers} = JSON.parse(metadata.gatewise ?? "{}").lstm ?? {};
    return tensors.size === 2 && layers && isPlain(layers[0][0].variant) ? {weight, bias} : null;
  }
  const names = [...tensors.keys()].filter(name => /_l\d+(_reverse)?$/.test(name));
  const prefix = names.find(name => name.endsWith("weight_ih_l0"))?.slice(0, -"weight_ih_l0".length) ?? "";
  const [input, recurrent] = ["weight_ih_l0", "weight_hh_l0"].map(name => tensors.get(prefix + name));
  if (!input || !recurrent || names.some(name => !/(weight|bias)_(ih|hh)_l0$/.test(name))) return null;
  const [rows, hidden] = recurrent.shape;
  const features = input.shape[1];
  if (rows !== 4 * hidden || input.shape[0] !== rows) return null;
  const data = new Float64Array(rows * (hidden + features));
  for (let row = 0; row < rows; row++) {
    data.set(recurrent.data.subarray(row * hidden, (row + 1) * hidden), row * (hidden + features));
    data.set(input.data.subarray(row * features, (row + 1) * features), row * (hidden + features) + hidden);
  }
  const biases = ["bias_ih_l0", "bias_hh_l0"].flatMap(name => tensors.get(prefix + name) ?? []);
  const sums = Float64Array.from({length: rows}, (_, row) => biases.reduce((sum, one) => sum + one.data[row], 0));
  return {weight: {shape: [4, hidden, hidden + features], data}, bias: {shape: [4, hidden], data: sums}};
}

/** The cell in a file; null if it has another model than this page reads. @param {string} name @param {ArrayBuffer} file
 * @returns {OwnCell | null} */
export function cellOfFile(name, file) {
  try {
    const gates = /\.onnx$/i.test(name) ? gatesOfOnnx(file) : gatesOf(safetensors(file));
    if (gates === null) return null;
    const {weight, bias} = gates;
    const [, hidden, columns] = weight.shape;
    if (hidden > MOST_UNITS || ![...weight.data, ...bias.data].every(Number.isFinite)) return null;
    /** @type {Record<string, NestedNumbers>} */
    const parameters = {};
    GATES.forEach((letter, gate) => {
      parameters[`W_${letter}`] = Array.from({length: hidden}, (_, unit) => {
        const row = (gate * hidden + unit) * columns;
        return [...weight.data.subarray(row, row + columns)];
      });
      parameters[`b_${letter}`] = [...bias.data.subarray(gate * hidden, (gate + 1) * hidden)];
    });
    return {hidden, features: columns - hidden, parameters};
  } catch {
    return null; // it is no such file, or cut off
  }
}

/** A table of numbers, with the names of its columns and its times, if it has them; null where it is none.
 * @param {string} text @returns {Table | null} */
export function tableOf(text) {
  const lines = text.split(/\r?\n/).filter(line => line.trim());
  const mark = lines[0]?.includes(";") ? ";" : ",";
  const plain = (/** @type {string} */ cell) => cell.trim().replace(/^"(.*)"$/, "$1");
  const cells = lines.map(line =>
    line.split(mark).map(cell => (mark === ";" ? plain(cell).replace(/^([-+]?\d*),(\d+)$/, "$1.$2") : plain(cell))),
  );
  const isNumber = (/** @type {string} */ cell) => cell !== "" && Number.isFinite(Number(cell));
  const names = cells[0]?.every(isNumber) ? null : (cells.shift() ?? null);
  const hasTimes = names !== null && TIMES.test(names[0]);
  const times = hasTimes ? cells.map(([time]) => time) : null;
  const rows = cells.map(row => row.slice(hasTimes ? 1 : 0));
  const isTable = rows.every(row => row.length === rows[0].length && row.every(isNumber));
  if (!rows.length || rows.length > MOST_STEPS || !isTable) return null;
  return {rows: rows.map(row => row.map(Number)), features: names?.slice(hasTimes ? 1 : 0) ?? null, times};
}

/** Other ends for the parts of the combined input. @template T @param {T} value @param {Map<number, number>} ends @returns {T} */
function withEnds(value, ends) {
  const text = JSON.stringify(value).replace(
    /(?<=[[:, ])\d+(?=[\],}])/g,
    digits => `${ends.get(Number(digits)) ?? digits}`,
  );
  return JSON.parse(text);
}

/**
 * The document of a cell and its input, from that of a plain cell of another size.
 * @param {SceneDocument} doc of one unit @param {OwnCell} cell @param {Table} table @param {string} file
 * @param {string} combined what is said of the combined input @returns {SceneDocument}
 */
export function ownDocument(doc, {hidden, features, parameters}, {rows, features: names, times}, file, combined) {
  const before = doc.labels.features?.length ?? 0;
  const ends = new Map([
    [1, hidden],
    [1 + before, hidden + features],
  ]);
  const whole = structuredClone(doc);
  const [program] = whole.program;
  const slices = ["dx", "dh_prev"];
  for (const line of program.backward) {
    const {right} = line;
    if (slices.includes(line.left) && right.node === "part") {
      right.start = right.start === 0 ? 0 : hidden;
      right.stop = line.left === "dx" ? hidden + features : hidden;
    }
  }
  for (const name of slices) whole.formulas[0].lines[name] = withEnds(whole.formulas[0].lines[name], ends);
  const words = /** @type {Words} */ (whole.words[0]);
  words.sayings.combined_input = {words: combined};
  words.source.backward.lines = words.source.backward.lines.map(line =>
    /^d(x|h_prev) = dz/.test(line) ? withEnds(line, ends) : line,
  );
  const zeros = Array.from({length: hidden}, () => 0);
  return {
    ...whole,
    title: file,
    file,
    chapters: [],
    about: [],
    edits: undefined,
    parameters: [parameters],
    inputs: {x: rows, valid: null, state: [[{h: zeros, c: zeros}]], dropout: null},
    labels: {
      features: names ?? Array.from({length: features}, (_, n) => `x${n}`),
      units: [Array.from({length: hidden}, (_, n) => `unit ${n}`)],
      times,
      outputs: null,
      measures: {},
    },
  };
}
