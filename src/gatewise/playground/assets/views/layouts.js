/**
 * The places of the stage's parts. Along the top runs the cell state, below it what is new; the input and the hidden
 * state of the step before come in from the left and go up into the gates, and the hidden state goes back below them.
 */

/** @type {Layout} */
export const WIDE_STAGE = {
  box: "8 0 736 238",
  isShort: false,
  pipes: {
    before: "M12 76H134",
    kept: "M134 76H336",
    candidate: "M166 150H296",
    written: "M296 150H348V88",
    into: "M360 76H404",
    out: "M500 76H534",
    squashed: "M570 76H604",
    output: "M604 76H660",
  },
  sources: {input: "M12 208H60", recurrent: "M680 76H740V232H60V208"},
  feeds: {
    forget_gate: "M60 208H134V120",
    candidate: "M60 208H176V168",
    input_gate: "M60 208H296V194",
    output_gate: "M60 208H604V120",
  },
  valves: {input_gate: [296, 150], forget_gate: [134, 76], output_gate: [604, 76]},
  arrows: [
    [66, 76, 0],
    [226, 150, 0],
    [348, 112, 90],
    [240, 76, 0],
    [382, 76, 0],
    [517, 76, 0],
    [634, 76, 0],
    [420, 232, 180],
  ],
  plus: [348, 76],
  squash: [552, 76],
  tank: {x: 404, y: 24, width: 96, height: 106},
  gauge: {x: 660, y: 40, width: 20, height: 72},
  captions: {
    candidate: {x: 158, y: 106, anchor: "start", lines: true},
    before: {x: 12, y: 112, anchor: "start", lines: true},
    input_gate: {x: 314, y: 192, anchor: "start"},
    forget_gate: {x: 134, y: 31, anchor: "middle"},
    output_gate: {x: 740, y: 31, anchor: "end"},
    cell: {x: 452, y: 13, anchor: "middle"},
    output: {x: 734, y: 142, anchor: "end", lines: true},
    input: {x: 12, y: 198, anchor: "start"},
    recurrent: {x: 70, y: 225, anchor: "start"},
    kept: {x: 196, y: 56, anchor: "start"},
    written: {x: 368, y: 163, anchor: "start"},
  },
};

/** @type {Layout} */
export const SMALL_STAGE = {
  box: "0 0 360 276",
  isShort: true,
  pipes: {
    before: "M4 80H90",
    kept: "M90 80H170",
    candidate: "M104 182H146",
    written: "M146 182H182V92",
    into: "M194 80H218",
    out: "M262 80H266",
    squashed: "M296 80H312",
    output: "M312 80H336",
  },
  sources: {input: "M4 240H30", recurrent: "M348 80H356V266H30V240"},
  feeds: {
    forget_gate: "M30 240H90V124",
    candidate: "M30 240H114V200",
    input_gate: "M30 240H146V226",
    output_gate: "M30 240H312V124",
  },
  valves: {input_gate: [146, 182], forget_gate: [90, 80], output_gate: [312, 80]},
  arrows: [
    [34, 80, 0],
    [182, 108, 90],
    [136, 80, 0],
    [236, 266, 180],
  ],
  plus: [182, 80],
  squash: [281, 80],
  tank: {x: 218, y: 38, width: 44, height: 84},
  gauge: {x: 336, y: 42, width: 12, height: 76},
  captions: {
    candidate: {x: 108, y: 122, anchor: "start", stacked: true},
    before: {x: 0, y: 140, anchor: "start", stacked: true},
    input_gate: {x: 168, y: 226, anchor: "start"},
    forget_gate: {x: 90, y: 32, anchor: "middle"},
    output_gate: {x: 351, y: 32, anchor: "end"},
    cell: {x: 240, y: 14, anchor: "middle"},
    output: {x: 348, y: 257, anchor: "end"},
    input: {x: 4, y: 230, anchor: "start"},
    recurrent: {x: 38, y: 257, anchor: "start"},
    kept: {x: 116, y: 116, anchor: "start"},
    written: {x: 204, y: 160, anchor: "start"},
  },
};
