/** A document of another cell than an LSTM, and its edits. */

const symbol = text => ({node: "symbol", text});
const number = value => ({node: "number", value});
const call = (name, ...parts) => ({node: "call", name, arguments: parts, activation: null});

const CELL_ROLES = {input: "x", hidden_state: "h", previous_hidden_state: "h_prev", output_gradient: "dy"};
const MERGE_ROLES = {forward_output: "h_forward", output: "y", output_gradient: "dy"};
const NAMES = ["x", "h_prev", "W", "z", "h", "a", "y", "h_next", "h_forward"];

/** Records of quantities and their gradients, with some roles. */
function quantities(roles) {
  const record = (text, of) => ({
    text,
    base: text,
    below: "",
    gate: null,
    rest: "",
    hue: null,
    gradient_of: of,
    role: "",
    amount: false,
  });
  return {records: NAMES.flatMap(name => [record(name, null), record(`d${name}`, name)]), roles};
}

/** A recurrent network of one matrix: h = tanh(W [h_prev; x]). */
export function documentOf(steps) {
  const z = {left: "z", right: {node: "stack", parts: [symbol("h_prev"), symbol("x")]}, axes: ["columns"], sums: false};
  const h = {
    left: "h",
    right: call("tanh", {node: "matmul", left: symbol("W"), right: symbol("z")}),
    axes: ["units"],
    sums: false,
  };
  const through = {
    node: "sum",
    terms: [number(1), {node: "negative", term: {node: "power", base: symbol("h"), exponent: number(2)}}],
  };
  const assignment = (left, right, sums = false) => ({left, right, axes: [], sums});
  const backward = [
    assignment("dh", {node: "sum", terms: [symbol("dy"), symbol("dh_next")]}),
    assignment("da", {node: "product", factors: [symbol("dh"), through]}),
    assignment("dW", {node: "outer", left: symbol("da"), right: symbol("z")}, true),
    assignment("dz", {node: "matmul", left: {node: "transpose", matrix: symbol("W")}, right: symbol("da")}),
    assignment("dh_prev", {node: "part", vector: symbol("dz"), start: 0, stop: 2}),
    assignment("dx", {node: "part", vector: symbol("dz"), start: 2, stop: 3}),
  ];
  const given = [
    ["x", ["features"], "input"],
    ["h_prev", ["units"], "state"],
    ["W", ["units", "columns"], "parameter"],
    ["dy", ["units"], "gradient"],
    ["dh_next", ["units"], "gradient"],
  ].map(([name, axes, kind]) => ({symbol: name, axes, kind}));
  const program = {
    given,
    forward: [z, h],
    backward,
    carry: [{into: "h_prev", source: "h"}],
    carry_backward: [{into: "dh_next", source: "dh_prev"}],
    nonlinearities: [],
  };
  const equations = [assignment("y", symbol("h_forward")), assignment("dh_forward", symbol("dy"))];
  return {
    program: [program],
    quantities: {cells: [quantities(CELL_ROLES)], merge: quantities(MERGE_ROLES), head: null},
    parameters: [
      {
        W: [
          [0.5, -0.3, 1],
          [0.2, 0.4, -1],
        ],
      },
    ],
    wiring: {
      layers: [[{program: 0, parameters: 0, direction: "forward"}]],
      merge: [{how: "concat", equations}],
      masked_output: "zeros",
      marked: null,
      embedding: null,
      initial: null,
      reads: "every",
      head: null,
    },
    inputs: {x: Array.from({length: steps}, (_, t) => [Math.sin(t)]), valid: null, state: null, dropout: null},
    labels: {},
  };
}

/** The edit of an input. */
export const xAt = (step, value) => ({ref: {layer: 0, direction: 0, name: "x", step, at: [0]}, value});
/** The edit of a weight. */
export const weightOf = (row, column, value) => ({
  ref: {layer: 0, direction: 0, name: "W", step: null, at: [row, column]},
  value,
});
