/**
 * The places of the stage's parts. Along the top runs the cell state, below it what is new; the input and the hidden
 * state of the step before come in from the left and go up into the gates, and the hidden state goes back below them.
 */

/** @type {Layout} */
export const WIDE_STAGE = {
  box: "8 0 736 238",
  isShort: false,
  pipes: {
    before: "M12 76H112",
    kept: "M112 76H318",
    candidate: "M150 150H262",
    written: "M262 150H330V88",
    into: "M342 76H392",
    out: "M502 76H542",
    squashed: "M578 76H622",
    output: "M622 76H672",
  },
  sources: {input: "M12 208H60", recurrent: "M692 76H740V232H60V208"},
  feeds: {
    forget_gate: "M60 208H112V120",
    candidate: "M60 208H160V168",
    input_gate: "M60 208H262V194",
    output_gate: "M60 208H622V120",
  },
  valves: {input_gate: [262, 150], forget_gate: [112, 76], output_gate: [622, 76]},
  arrows: [
    [56, 76, 0],
    [206, 150, 0],
    [330, 112, 90],
    [226, 76, 0],
    [367, 76, 0],
    [522, 76, 0],
    [648, 76, 0],
    [400, 232, 180],
  ],
  plus: [330, 76],
  squash: [560, 76],
  tank: {x: 392, y: 24, width: 110, height: 106},
  gauge: {x: 672, y: 40, width: 20, height: 72},
  captions: {
    candidate: {x: 146, y: 106, anchor: "start", lines: true},
    before: {x: 12, y: 112, anchor: "start", lines: true},
    input_gate: {x: 280, y: 190, anchor: "start"},
    forget_gate: {x: 112, y: 28, anchor: "middle"},
    output_gate: {x: 738, y: 28, anchor: "end"},
    cell: {x: 447, y: 16, anchor: "middle"},
    output: {x: 734, y: 142, anchor: "end", lines: true},
    input: {x: 12, y: 198, anchor: "start"},
    recurrent: {x: 70, y: 225, anchor: "start"},
    kept: {x: 180, y: 56, anchor: "start"},
    written: {x: 350, y: 156, anchor: "start"},
  },
};

/** @type {Layout} */
export const SMALL_STAGE = {
  box: "0 0 360 276",
  isShort: true,
  pipes: {
    before: "M4 80H84",
    kept: "M84 80H170",
    candidate: "M104 182H146",
    written: "M146 182H182V92",
    into: "M194 80H206",
    out: "M262 80H266",
    squashed: "M296 80H312",
    output: "M312 80H336",
  },
  sources: {input: "M4 240H30", recurrent: "M348 80H356V266H30V240"},
  feeds: {
    forget_gate: "M30 240H84V124",
    candidate: "M30 240H114V200",
    input_gate: "M30 240H146V226",
    output_gate: "M30 240H312V124",
  },
  valves: {input_gate: [146, 182], forget_gate: [84, 80], output_gate: [312, 80]},
  arrows: [
    [34, 80, 0],
    [182, 136, 90],
    [136, 80, 0],
    [200, 266, 180],
  ],
  plus: [182, 80],
  squash: [281, 80],
  tank: {x: 206, y: 24, width: 56, height: 96},
  gauge: {x: 336, y: 42, width: 12, height: 76},
  captions: {
    candidate: {x: 162, y: 138, anchor: "end"},
    before: {x: 4, y: 158, anchor: "start"},
    input_gate: {x: 168, y: 226, anchor: "start"},
    forget_gate: {x: 84, y: 32, anchor: "middle"},
    output_gate: {x: 312, y: 32, anchor: "middle"},
    cell: {x: 234, y: 16, anchor: "middle"},
    output: {x: 348, y: 257, anchor: "end"},
    input: {x: 4, y: 230, anchor: "start"},
    recurrent: {x: 38, y: 257, anchor: "start"},
    kept: {x: 116, y: 116, anchor: "start"},
    written: {x: 204, y: 160, anchor: "start"},
  },
};
