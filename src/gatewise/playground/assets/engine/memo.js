/** Values that stay as long as their inputs are the same. */

/**
 * The last value of an owner, or a new one where its inputs are others.
 * @template {object} Owner
 * @template Made
 * @param {WeakMap<Owner, {of: unknown[], made: Made}>} values
 * @param {Owner} owner
 * @param {unknown[]} of the inputs
 * @param {() => Made} make
 * @returns {Made}
 */
export function memoised(values, owner, of, make) {
  const last = values.get(owner);
  if (last?.of.every((input, n) => input === of[n])) return last.made;
  const made = make();
  values.set(owner, {of, made});
  return made;
}
