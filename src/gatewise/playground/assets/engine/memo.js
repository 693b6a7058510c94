/** What was made last, for as long as it would be the same. */

/**
 * What was made last for an owner, or made anew where what it is made of is another.
 * @template {object} Owner
 * @template Made
 * @param {WeakMap<Owner, {of: unknown[], made: Made}>} kept
 * @param {Owner} owner
 * @param {unknown[]} of
 * @param {() => Made} make
 * @returns {Made}
 */
export function lastMade(kept, owner, of, make) {
  const last = kept.get(owner);
  if (last?.of.every((one, n) => one === of[n])) return last.made;
  const made = make();
  kept.set(owner, {of, made});
  return made;
}
