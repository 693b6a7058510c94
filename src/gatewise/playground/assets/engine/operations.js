/** Operations on values in buffers: what computes a value from the values of its parts. */

import {addOuter, addPlainProduct, addProduct, addTransposed, plainNumbers, rowProduct, sizeOf} from "./arrays.js";
import {combineTo, copyTo} from "./functions.js";

const LONG = 16; // numbers of a vector from which on plain arrays are worth their copies

/** A place for a value of a shape. @param {number[]} shape @param {Float64Array} [data] @returns {Slot} */
export function slotOf(shape, data) {
  const size = sizeOf(shape);
  return {shape, size, data: data ?? new Float64Array(size), offset: 0};
}

/** A number, where it stands. @param {number} value @returns {Slot} */
export function numberSlot(value) {
  return slotOf([], Float64Array.of(value));
}

/**
 * An operation that computes a value from its parts; parts that are the same at every step are computed once.
 * @param {Scope} scope @param {Op[]} parts @param {Slot} slot @param {() => void} compute @returns {Op}
 */
export function operation(scope, parts, slot, compute) {
  const varies = parts.some(part => part.varies);
  /** @type {(() => void)[]} */
  const runs = [];
  for (const part of parts) if (part.run !== null) (varies && !part.varies ? scope.once : runs).push(part.run);
  if (runs.length === 0) return {slot, run: compute, varies};
  runs.push(compute);
  return {slot, run: () => runs.forEach(run => run()), varies};
}

/** A number of entries, or the size of a name. @param {Scope} scope @param {number | string} end */
export function sizeNamed(scope, end) {
  const size = typeof end === "number" ? end : scope.sizes[end];
  if (size === undefined) throw new Error(`nothing is known of the size ${end}`);
  return size;
}

/**
 * The shape of values that meet entry by entry: one number meets every entry of another.
 * @param {Op[]} parts @returns {number[]}
 */
function together(parts) {
  /** @type {number[]} */
  let shape = [];
  for (const {slot} of parts) if (slot.shape.length > shape.length) shape = slot.shape;
  for (const {
    slot: {shape: other},
  } of parts) {
    if (other.length > 0 && `${other}` !== `${shape}`)
      throw new Error(`a formula joins shapes (${other}) and (${shape})`);
  }
  return shape;
}

/**
 * A sum or a product: the first part, joined with one after another.
 * @param {Scope} scope @param {Op[]} parts
 * @param {((out: Slot, from: Slot) => void)[]} joins how each is joined; of the first, whether it is subtracted @returns {Op}
 */
export function folded(scope, parts, joins) {
  const out = slotOf(together(parts)),
    [{slot: first}] = parts,
    others = parts.map(({slot}) => slot);
  return operation(scope, parts, out, () => {
    copyTo(out, first);
    for (let n = 1; n < others.length; n++) joins[n](out, others[n]);
  });
}

/**
 * A function of two values, entry by entry.
 * @param {Scope} scope @param {Op} first @param {Op} second @param {(a: number, b: number) => number} f @returns {Op}
 */
export function binary(scope, first, second, f) {
  const out = slotOf(together([first, second]));
  return operation(scope, [first, second], out, () => combineTo(f, out, first.slot, second.slot));
}

/**
 * A matrix times a vector. Blocks of columns may be known already: those that meet what is the same in every run.
 * @param {Scope} scope @param {Op} matrix @param {Op} vector @param {Block[]} blocks @returns {Op}
 */
export function product(scope, matrix, vector, blocks) {
  const [rows, columns] = matrix.slot.shape,
    out = slotOf([rows]),
    {slot: m} = matrix,
    {slot: v} = vector;
  if (vector.slot.size !== columns) throw new Error(`a formula multiplies ${columns} columns with ${v.size} numbers`);
  for (const {first, count, known} of blocks) {
    if (known === null || !known.byRow) continue;
    known.again = (row, column = first) => {
      if (column < first || column >= first + count) return;
      for (let step = 0; step < known.ready.length; step++) {
        if (known.ready[step] === 0) continue;
        const start = m.offset + row * columns + first;
        known.data[step * rows + row] = rowProduct(m.data, start, count, v.data, step * columns + first);
      }
    };
  }
  const plain = blocks.map(({count, known}) =>
    known === null && count >= LONG && vector.varies && !matrix.varies
      ? {rows: Array.from({length: rows}, () => plainNumbers(count)), vector: plainNumbers(count)}
      : null,
  );
  const op = operation(scope, [matrix, vector], out, () => {
    out.data.fill(0, out.offset, out.offset + rows);
    for (let b = 0; b < blocks.length; b++) {
      const {first, count, known} = blocks[b],
        copy = plain[b];
      if (copy !== null) {
        const {data} = v,
          {rows: lines, vector: numbers} = copy;
        for (let n = 0, from = v.offset + first; n < count; n++) numbers[n] = data[from + n];
        addPlainProduct(out.data, out.offset, lines, numbers);
      } else if (known === null) {
        addProduct(out.data, out.offset, m.data, rows, columns, m.offset + first, count, v.data, v.offset + first);
      } else addKnown(known, out, m, v, rows, first, count);
    }
  });
  plain.forEach((copy, b) => {
    if (copy !== null) scope.once.push(() => copyBlock(copy.rows, m, blocks[b].first));
  });
  return op;
}

/** Copy a block of a matrix. @param {number[][]} rows @param {Slot} matrix @param {number} first */
function copyBlock(rows, {data, offset, shape: [, columns]}, first) {
  rows.forEach((row, r) => {
    for (let n = 0, from = offset + r * columns + first; n < row.length; n++) row[n] = data[from + n];
  });
}

/**
 * Add products that are the same in every run, computed when they are first needed.
 * @param {KnownProducts} known @param {Slot} out @param {Slot} m @param {Slot} v @param {number} rows @param {number} first
 * @param {number} count
 */
function addKnown(known, out, m, v, rows, first, count) {
  const at = known.at(),
    from = at * rows,
    {data} = known,
    {data: to, offset: o} = out;
  if (known.ready[at] === 0) {
    data.fill(0, from, from + rows);
    addProduct(data, from, m.data, rows, m.shape[1], m.offset + first, count, v.data, v.offset + first);
    known.ready[at] = 1;
  }
  for (let r = 0; r < rows; r++) to[o + r] += data[from + r];
}

/**
 * A transposed matrix times a vector.
 * @param {Scope} scope @param {Op} matrix before it is transposed @param {Op} vector @returns {Op}
 */
export function transposedProduct(scope, matrix, vector) {
  const [rows, columns] = matrix.slot.shape,
    out = slotOf([columns]),
    {slot: m} = matrix,
    {slot: v} = vector;
  if (vector.slot.size !== rows) throw new Error(`a formula multiplies ${rows} rows with ${v.size} numbers`);
  return operation(scope, [matrix, vector], out, () => {
    out.data.fill(0, out.offset, out.offset + columns);
    addTransposed(out.data, out.offset, m.data, m.offset, rows, columns, v.data, v.offset);
  });
}

/**
 * Each entry of one vector times each of another.
 * @param {Scope} scope @param {Op} left @param {Op} right @returns {Op}
 */
export function outer(scope, left, right) {
  const {slot: l} = left,
    {slot: r} = right,
    rows = l.size,
    columns = r.size,
    out = slotOf([rows, columns]);
  const op = operation(scope, [left, right], out, () => {
    out.data.fill(0);
    addOuter(out.data, l.data, l.offset, rows, r.data, r.offset, columns);
  });
  if (left.run !== null || right.run !== null) return op;
  return {
    ...op,
    entry: n => l.data[l.offset + Math.floor(n / columns)] * r.data[r.offset + (n % columns)],
    addTo: total => addOuter(total, l.data, l.offset, rows, r.data, r.offset, columns),
  };
}

/**
 * Entries of a vector, or columns of a matrix, from one on, before another.
 * @param {Scope} scope @param {Op} vector @param {number} start @param {number} stop @returns {Op}
 */
export function part(scope, vector, start, stop) {
  const [rows, columns] = vector.slot.shape,
    count = stop - start;
  if (columns === undefined) return rearranged(scope, vector, [count], n => start + n);
  return rearranged(scope, vector, [rows, count], n => Math.floor(n / count) * columns + start + (n % count));
}

/** Vectors one behind the other. @param {Scope} scope @param {Op[]} parts @returns {Op} */
export function stacked(scope, parts) {
  const out = slotOf([parts.reduce((sum, {slot}) => sum + slot.size, 0)]);
  return operation(scope, parts, out, () => {
    let o = out.offset;
    for (const {slot} of parts) for (let n = 0; n < slot.size; n++) out.data[o++] = slot.data[slot.offset + n];
  });
}

/**
 * The entries of a matrix in another order.
 * @param {Scope} scope @param {Op} matrix @param {number[]} shape
 * @param {(n: number) => number} from where each entry comes from @returns {Op}
 */
export function rearranged(scope, matrix, shape, from) {
  const out = slotOf(shape),
    {slot} = matrix;
  return operation(scope, [matrix], out, () => {
    for (let n = 0; n < out.size; n++) out.data[out.offset + n] = slot.data[slot.offset + from(n)];
  });
}
