/** Known mistakes: the edits that the document holds, as trees, and which of them are one mistake. */

/** @typedef {import("./trees.js").Tree} Tree */
/**
 * The edits of a program as Python writes them; see playground/edits.py.
 * @typedef {object} Mistakes
 * @property {[string, [string, string][]][]} shapes
 * @property {any[]} values
 * @property {any[][]} nodes
 * @property {import("./evaluate.js").Nonlinearity[]} nonlinearities of the edits
 * @property {string[]} kinds
 * @property {string[]} parts
 * @property {number[][]} words
 * @property {Record<string, string>} gates what the gates are called, by their letters
 * @property {Record<string, Record<string, number[]>>} edits
 * @property {import("./carries.js").Taken[]} [carries] in what a step takes from others
 */
/**
 * @typedef {object} Edited
 * @property {string} kind
 * @property {string} words with {} where the line is named
 * @property {Tier} tier
 * @property {string} target
 * @property {number} form which tree it makes: equal ones are one mistake
 * @property {() => Tree} tree
 */
/** @typedef {"likely" | "structural" | "one entry"} Tier */

/**
 * The edits of a line.
 * @param {Mistakes} mistakes @param {string} target @param {Tier} tier
 * @param {(name: string) => boolean} isMatrix
 * @returns {Edited[]}
 */
export function editsOf(mistakes, target, tier, isMatrix) {
  const pairs = mistakes.edits[target]?.[tier] ?? [];
  let [said, whole] = [0, 0];  // what is written is how much each is more than the one before
  return Array.from({length: pairs.length / 2}, (_, n) => {
    said += pairs[2 * n];
    whole += pairs[2 * n + 1];
    const [kind, ...parts] = mistakes.words[said];
    const form = whole;
    return {
      kind: mistakes.kinds[kind],
      words: parts.map((part) => mistakes.parts[part]).join(""),
      tier,
      target,
      form,
      tree: () => treeOf(mistakes, form, isMatrix),
    };
  });
}

/** @type {WeakMap<Mistakes, Map<number, Tree>>} */
const treesOfMistakes = new WeakMap();
/** @type {WeakMap<Mistakes, any[][]>} */
const nodesOfMistakes = new WeakMap();

/** The nodes with the numbers of those that they are made of, which are written as differences.
 * @param {Mistakes} mistakes @returns {any[][]} */
function nodesOf(mistakes) {
  const known = nodesOfMistakes.get(mistakes);
  if (known) return known;
  /** @type {Record<string, number>} */
  const last = {};
  const found = mistakes.nodes.map(([shape, ...values]) => {
    let place = 0;
    /** @param {number} one */
    const step = one => {
      const key = `${shape} ${place++}`;
      return (last[key] = (last[key] ?? 0) + one);
    };
    const kinds = mistakes.shapes[shape][1].map(one => one[1]);
    return [shape, ...values.map((one, n) => (kinds[n] === "node" ? step(one) : kinds[n] === "nodes" ? one.map(step) : one))];
  });
  nodesOfMistakes.set(mistakes, found);
  return found;
}

/**
 * A node with all that it is made of. What is cut from a matrix are columns, under a name of their own.
 * @param {Mistakes} mistakes @param {number} number @param {(name: string) => boolean} isMatrix @returns {Tree}
 */
function treeOf(mistakes, number, isMatrix) {
  const made = treesOfMistakes.get(mistakes) ?? new Map();
  treesOfMistakes.set(mistakes, made);
  const kept = made.get(number);
  if (kept) return kept;
  const [shape, ...fields] = nodesOf(mistakes)[number];
  const [node, names] = mistakes.shapes[shape];
  /** @type {any} */
  let tree = {node};
  names.forEach(([name, kind], n) => {
    /** @param {number} inner */
    const of = (inner) => treeOf(mistakes, inner, isMatrix);
    if (kind === "node") tree[name] = of(fields[n]);
    else if (kind === "nodes") tree[name] = fields[n].map(of);
    else tree[name] = kind === "value" ? mistakes.values[fields[n]] : fields[n];
  });
  if (node === "part" && isMatrix(tree.vector.text)) {
    tree = {node: "symbol", text: `${tree.vector.text}[${tree.start}:${tree.stop}]`};
  }
  made.set(number, tree);
  return tree;
}

/** The letter of the gate that a quantity belongs to, or "". @param {string} name */
export function gateOf(name) {
  const found = /^d?([ifgo])$/.exec(name) ?? /_\{?[a-z]*?([ifgo])(?=,|\}|$)/.exec(name);
  return found ? found[1] : "";
}

/** Words about the equation of one gate as they are for the same equation of any gate, k.
 * @param {string} told @param {string} gate @param {Record<string, string>} gates */
export function neutralWords(told, gate, gates) {
  if (!gate) return told;
  const plain = told.replaceAll(gates[gate], "the gate k");
  return plain.replace(new RegExp(`(?<![A-Za-z])((?:d?[A-Za-zγ]_[uw]?|d)?)${gate}(?![A-Za-z])`, "g"), "$1k");
}

/** What edits have in common that are one mistake, made in several equations of a pass.
 * @param {Edited} edit @param {boolean} backward @param {Record<string, string>} gates */
export function familyOf(edit, backward, gates) {
  const gate = gateOf(edit.target);
  return [edit.kind, neutralWords(edit.words, gate, gates), backward, gate !== ""].join("|");
}
