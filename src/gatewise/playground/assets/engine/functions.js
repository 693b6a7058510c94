/** The primitive functions of formulas: entry by entry, from one place in a buffer to another. */

/** Functions of one number, by the names that formulas call them. */
export const UNARY = /** @type {Record<string, (a: number) => number>} */ ({
  exp: Math.exp,
  ln: Math.log,
  abs: Math.abs,
  sqrt: Math.sqrt,
  erf,
  tanh,
  σ: sigmoid,
  negative: a => -a,
});

/** Functions that make one number of a vector. */
export const OVER_A_VECTOR = /** @type {Record<string, (slot: Slot) => number>} */ ({
  mean: slot => total(slot) / slot.size,
  sum: total,
  greatest,
});

/** Relations that hold (1) or do not (0). */
export const RELATIONS = /** @type {Record<string, (a: number, b: number) => boolean>} */ ({
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  "≤": (a, b) => a <= b,
});

/** @param {number} a @param {number} b */
export const add = (a, b) => a + b;

/** @param {number} a @param {number} b */
export const subtract = (a, b) => a - b;

/** @param {number} a @param {number} b */
export const multiply = (a, b) => a * b;

const POWERS = Float64Array.from({length: 1200}, (_, n) => 2 ** (n - 1100)); // 0 for the first, which are too small
const ROUND = 1.5 * 2 ** 52; // added and taken away again, it leaves the nearest integer

/**
 * exp(a) - less, exact near 0: 2ᵏ exp(r) with a = k ln 2 + r, and exp(r) by fdlibm's formula. It is compiled into the
 * loop that calls it, where Math.exp and Math.tanh are calls: half the time.
 * @param {number} a @param {0 | 1} less
 */
function exponential(a, less) {
  const within = Math.max(-746, Math.min(a, 40)), // beyond, σ and tanh are 0, 1 or -1
    k = within * Math.LOG2E + ROUND - ROUND,
    r = within - k * 0.6931471803691238 - k * 1.9082149292705877e-10, // ln 2, its first digits and the others
    s = r * r,
    last = 6.613756321437934e-5 + s * (-1.6533902205465252e-6 + s * 4.138136797057239e-8),
    c = r - s * (0.16666666666666602 + s * (-2.7777777777015593e-3 + s * last)),
    power = POWERS[(k + 1100) | 0];
  return power * (r + (r * c) / (2 - c)) + (power - less);
}

/** 1 / (1 + exp(-a)), without overflow. @param {number} a */
function sigmoid(a) {
  const e = exponential(a, 0);
  return e / (1 + e);
}

/** As exact near 0 as elsewhere; of -0 it is -0. @param {number} a */
function tanh(a) {
  const e = exponential(2 * a, 1);
  return a === 0 ? a : e / (e + 2);
}

/** The error function, by its series of terms of one sign. @param {number} a */
function erf(a) {
  if (Math.abs(a) > 6) return Math.sign(a);
  let [term, sum] = [a, a];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

/** @param {Slot} slot */
function total({data, offset, size}) {
  let sum = 0;
  for (let n = offset; n < offset + size; n++) sum += data[n];
  return sum;
}

/** @param {Slot} slot */
function greatest({data, offset, size}) {
  let most = -Infinity;
  for (let n = offset; n < offset + size; n++) most = Math.max(most, data[n]);
  return most;
}

// The functions that a cell calls at every step have loops of their own: a call for each entry takes ten times as long.

/** Write a function of each entry. @param {string} name a key of UNARY @param {Slot} out @param {Slot} from */
export function applyTo(name, out, from) {
  const {data: to, offset: o, size} = out,
    {data: a, offset: p} = from;
  const f = UNARY[name];
  if (f === sigmoid) for (let n = 0; n < size; n++) to[o + n] = sigmoid(a[p + n]);
  else if (f === tanh) for (let n = 0; n < size; n++) to[o + n] = tanh(a[p + n]);
  else for (let n = 0; n < size; n++) to[o + n] = f(a[p + n]);
}

/** Copy a value, or fill with one number. @param {Slot} out @param {Slot} from */
export function copyTo(out, from) {
  const {data: to, offset: o, size} = out,
    {data: a, offset: p} = from,
    s = step(from, out);
  for (let n = 0, i = p; n < size; n++, i += s) to[o + n] = a[i];
}

/**
 * Write a function of two values, entry by entry.
 * @param {(a: number, b: number) => number} f @param {Slot} out @param {Slot} first @param {Slot} second
 */
export function combineTo(f, out, first, second) {
  const {data: to, offset: o, size} = out,
    {data: a, offset: p} = first,
    {data: b, offset: q} = second,
    s = step(first, out),
    t = step(second, out);
  if (f === add) for (let n = 0; n < size; n++) to[o + n] = a[p + n * s] + b[q + n * t];
  else if (f === multiply) for (let n = 0; n < size; n++) to[o + n] = a[p + n * s] * b[q + n * t];
  else for (let n = 0; n < size; n++) to[o + n] = f(a[p + n * s], b[q + n * t]);
}

/** The distance from one entry to the next: 0 where one number stands for all entries. @param {Slot} from @param {Slot} out */
function step(from, out) {
  return from.shape.length === 0 && out.shape.length > 0 ? 0 : 1;
}
