/** Arrays of numbers as the document writes them, and products of matrices with vectors. All are float64. */

/** The number of entries of a shape. @param {number[]} shape */
export function sizeOf(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

/** Zeros of a shape. @param {number[]} shape @returns {Values} */
export function zeros(shape) {
  return {shape, data: new Float64Array(sizeOf(shape))};
}

/** Whether an array of the document is float32. @param {WrittenArray} written */
export function isSingle(written) {
  return typeof written === "object" && "base64" in written && written.dtype === "<f4";
}

/** An array of the document: nested lists, or the bytes of its numbers in base64. @param {WrittenArray} written
 * @returns {Values} */
export function decode(written) {
  if (typeof written === "object" && "base64" in written) {
    return {shape: written.shape.slice(), data: numbersOf(bytesOf(written.base64), written.dtype)};
  }
  /** @type {number[]} */
  const shape = [];
  for (let inner = written; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  const values = zeros(shape);
  let n = 0;
  /** @param {NestedNumbers} part */
  const visit = part => {
    if (Array.isArray(part)) part.forEach(visit);
    else values.data[n++] = numberOf(part);
  };
  visit(written);
  if (n !== values.data.length) throw new Error("an array of the document has rows of different lengths");
  return values;
}

/** A number of the document; those that JSON has not are strings. @param {unknown} written */
function numberOf(written) {
  if (typeof written === "string") {
    const named = {inf: Infinity, "-inf": -Infinity, nan: NaN};
    if (written in named) return named[/** @type {keyof typeof named} */ (written)];
    throw new Error("an array of the document holds something that is not a number");
  }
  return Number(written);
}

/** Bytes from base64. @param {string} base64 */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = text.charCodeAt(n);
  return bytes;
}

/** @param {Uint8Array} bytes @param {string} dtype */
function numbersOf(bytes, dtype) {
  if (dtype === "<f8") return new Float64Array(bytes.buffer);
  if (dtype === "<f4") return Float64Array.from(new Float32Array(bytes.buffer));
  throw new Error(`an array of the document is of an unknown kind, ${dtype}`);
}

// In the products below `| 0` says that places are small integers: engines then leave out half of their checks.

/**
 * Numbers in a plain array: engines read those half again as fast as typed ones, whose place they look up each time.
 * @param {number} count @returns {number[]}
 */
export function plainNumbers(count) {
  const numbers = [];
  for (let n = 0; n < count; n++) numbers.push(0.5); // no integer, so that all are stored as float64
  return numbers;
}

/**
 * Add to `out` a matrix times a vector, its rows and the vector in plain arrays.
 * @param {Float64Array} out @param {number} o @param {number[][]} rows @param {number[]} vector
 */
export function addPlainProduct(out, o, rows, vector) {
  const columns = vector.length;
  let r = 0;
  for (; r + 3 < rows.length; r = (r + 4) | 0) {
    const first = rows[r],
      second = rows[r + 1],
      third = rows[r + 2],
      fourth = rows[r + 3];
    let a = 0,
      b = 0,
      c = 0,
      d = 0;
    for (let n = 0; n < columns; n = (n + 1) | 0) {
      const x = vector[n];
      a += first[n] * x;
      b += second[n] * x;
      c += third[n] * x;
      d += fourth[n] * x;
    }
    out[o + r] += a;
    out[o + r + 1] += b;
    out[o + r + 2] += c;
    out[o + r + 3] += d;
  }
  for (; r < rows.length; r++) {
    let sum = 0;
    for (let n = 0; n < columns; n++) sum += rows[r][n] * vector[n];
    out[o + r] += sum;
  }
}

/**
 * Add to `out` each number of one vector times each of another.
 * @param {Float64Array} out @param {Float64Array} left @param {number} l @param {number} rows
 * @param {Float64Array} right @param {number} r @param {number} columns
 */
export function addOuter(out, left, l, rows, right, r, columns) {
  const end = (r + columns) | 0;
  for (let m = 0, n = 0; m < rows; m = (m + 1) | 0) {
    const x = left[l + m];
    for (let k = r | 0; k < end; k = (k + 1) | 0) {
      out[n] += x * right[k];
      n = (n + 1) | 0;
    }
  }
}

/**
 * The largest difference of two arrays, number by number; NaN against a number is infinite, NaN against NaN none.
 * @param {Float64Array} first @param {Float64Array} second
 */
export function difference(first, second) {
  let most = 0;
  for (let n = 0; n < first.length; n++) {
    if (Object.is(first[n], second[n]) || first[n] === second[n]) continue;
    const by = Math.abs(first[n] - second[n]);
    most = Number.isNaN(by) ? Infinity : Math.max(most, by);
  }
  return most;
}

/** The largest size among numbers, of those that are finite; 0 where there are none. @param {Iterable<number>} values */
export function largestSize(values) {
  let largest = 0;
  for (const value of values) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest;
}
