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

/** 1 / (1 + exp(-a)), without overflow. @param {number} a */
function sigmoid(a) {
  return a < -700 ? Math.exp(a) : 1 / (1 + Math.exp(-a));
}

/** Away from 0 the exponential alone is as exact, in half the time. @param {number} a */
function tanh(a) {
  return Math.abs(a) < 0.3 ? Math.tanh(a) : 1 - 2 / (Math.exp(2 * a) + 1);
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

/** Write a function of each entry. @param {string} name a key of UNARY @param {Slot} out @param {Slot} from */
export function applyTo(name, out, from) {
  const {data: to, offset: o, size} = out,
    {data: a, offset: p} = from;
  const f = UNARY[name];
  for (let n = 0; n < size; n++) to[o + n] = f(a[p + n]);
}

/** Copy a value, or fill with one number. @param {Slot} out @param {Slot} from */
export function copyTo(out, from) {
  const {data: to, offset: o, size} = out,
    {data: a, offset: p} = from,
    s = step(from, out);
  for (let n = 0, i = p; n < size; n++, i += s) to[o + n] = a[i];
}

/** Add another value, entry by entry, to what stands there. @param {Slot} out @param {Slot} from */
export function addTo(out, from) {
  combineTo((a, b) => a + b, out, out, from);
}

/** Subtract it. @param {Slot} out @param {Slot} from */
export function subtractFrom(out, from) {
  combineTo((a, b) => a - b, out, out, from);
}

/** Multiply by it. @param {Slot} out @param {Slot} from */
export function multiplyBy(out, from) {
  combineTo((a, b) => a * b, out, out, from);
}

/**
 * Write a function of two values, entry by entry.
 * @param {(a: number, b: number) => number} f @param {Slot} out @param {Slot} first @param {Slot} second
 */
export function combineTo(f, out, first, second) {
  const {data: to, offset: o, size} = out,
    s = step(first, out),
    t = step(second, out);
  for (let n = 0, i = first.offset, j = second.offset; n < size; n++, i += s, j += t) {
    to[o + n] = f(first.data[i], second.data[j]);
  }
}

/** The distance from one entry to the next: 0 where one number stands for all entries. @param {Slot} from @param {Slot} out */
function step(from, out) {
  return from.shape.length === 0 && out.shape.length > 0 ? 0 : 1;
}
