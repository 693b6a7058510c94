/** Values that stay as long as their inputs are the same. */

/** @type {WeakMap<object, Map<string, {of: unknown[], made: any}>>} */
const valuesOfOwners = new WeakMap();

/**
 * The last value of an owner under a name, or a new one where its inputs are others.
 * @template Made
 * @param {object} owner @param {string} name @param {unknown[]} of the inputs @param {() => Made} make @returns {Made}
 */
export function memoised(owner, name, of, make) {
  const values = valuesOfOwners.get(owner) ?? new Map();
  valuesOfOwners.set(owner, values);
  const last = values.get(name);
  if (last?.of.every((/** @type {unknown} */ input, /** @type {number} */ n) => input === of[n])) return last.made;
  const made = make();
  values.set(name, {of, made});
  return made;
}
