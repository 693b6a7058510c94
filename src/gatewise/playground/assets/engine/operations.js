/** Operations on values in buffers: what computes a value from the values of its parts. */

import {addOuter, addPlainProduct, plainNumbers, sizeOf} from "./arrays.js";
import {combineTo, copyTo} from "./functions.js";

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
  for (const part of new Set(parts)) if (part.run !== null) (varies && !part.varies ? scope.once : runs).push(part.run);
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
 * @param {((a: number, b: number) => number)[]} joins what joins each part with those before it @returns {Op}
 */
export function folded(scope, parts, joins) {
  const out = slotOf(together(parts)),
    [{slot: first}] = parts,
    others = parts.map(({slot}) => slot);
  return operation(scope, parts, out, () => {
    if (others.length === 1) copyTo(out, first);
    else combineTo(joins[1], out, first, others[1]);
    for (let n = 2; n < others.length; n++) combineTo(joins[n], out, out, others[n]);
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
 * A matrix, or its transpose, times a vector. Products of some blocks of columns may be known already.
 * @param {Scope} scope @param {Op} matrix @param {Op} vector @param {boolean} isTransposed
 * @param {Block[]} [blocks] @returns {Op}
 */
export function product(scope, matrix, vector, isTransposed, blocks) {
  const {slot: m} = matrix,
    {slot: v} = vector,
    [rows, columns] = isTransposed ? [...m.shape].reverse() : m.shape,
    [down, along] = isTransposed ? [1, rows] : [columns, 1],
    isSteady = vector.varies && !matrix.varies,
    out = slotOf([rows]);
  if (v.size !== columns) throw new Error(`a formula multiplies ${columns} columns with ${v.size} numbers`);
  /** What adds the product of a block. @param {Block} block @returns {(to: Slot) => void} */
  const partOf = ({first, count, known}) => {
    /** @type {number[][]} */
    const plainRows = [];
    const numbers = plainNumbers(count);
    let isCopied = false;
    if (isSteady)
      scope.once.push(() => {
        isCopied = false;
      });
    /** @param {Float64Array} to @param {number} o */
    const addBlock = (to, o) => {
      for (let r = 0; r < rows && !isCopied; r++) {
        plainRows[r] ??= plainNumbers(count);
        for (let n = 0, from = m.offset + r * down + first * along; n < count; n++) {
          plainRows[r][n] = m.data[from + n * along];
        }
      }
      isCopied = isSteady;
      for (let n = 0; n < count; n++) numbers[n] = v.data[v.offset + first + n];
      addPlainProduct(to, o, plainRows, numbers);
    };
    if (known === null) return to => addBlock(to.data, to.offset);
    if (known.byRow) known.again = (row, column = first) => computeAgain(known, m, v, row, column, first, count);
    return to => addKnown(known, addBlock, to);
  };
  const parts = (blocks ?? [{first: 0, count: columns, known: null}]).map(partOf);
  return operation(scope, [matrix, vector], out, () => {
    out.data.fill(0, out.offset, out.offset + rows);
    for (let b = 0; b < parts.length; b++) parts[b](out); // a plain loop: the product is compiled as part of it
  });
}

/**
 * Compute a row of known products again, if a column of the matrix is of their block.
 * @param {KnownProducts} known @param {Slot} matrix @param {Slot} vector @param {number} row @param {number} column
 * @param {number} first @param {number} count
 */
function computeAgain({ready, data}, matrix, vector, row, column, first, count) {
  const [rows, columns] = matrix.shape,
    start = matrix.offset + row * columns;
  if (column < first || column >= first + count) return;
  for (let step = ready.indexOf(1); step >= 0; step = ready.indexOf(1, step + 1)) {
    let sum = 0;
    for (let n = first; n < first + count; n++) sum += matrix.data[start + n] * vector.data[step * columns + n];
    data[step * rows + row] = sum;
  }
}

/**
 * Add products that are the same in every run, computed when they are first needed.
 * @param {KnownProducts} known @param {(to: Float64Array, o: number) => void} addBlock @param {Slot} out
 */
function addKnown({at, data, ready}, addBlock, {data: to, offset: o, size}) {
  const step = at(),
    from = step * size;
  if (ready[step] === 0) {
    data.fill(0, from, from + size);
    addBlock(data, from);
    ready[step] = 1;
  }
  for (let r = 0; r < size; r++) to[o + r] += data[from + r];
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
