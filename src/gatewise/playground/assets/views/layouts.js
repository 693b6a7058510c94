/** Where the parts of the stage stand: from left to right where there is room, else from top to bottom. */

/**
 * @typedef {object} Caption
 * @property {number} x
 * @property {number} y
 * @property {"start" | "middle" | "end"} anchor
 * @property {boolean} [lines] whether the words stand above the number
 */
/** @typedef {{x: number, y: number, width: number, height: number, upright: boolean}} Gauge */
/**
 * @typedef {object} Layout
 * @property {string} box of the picture
 * @property {boolean} upright whether valves are filled from below
 * @property {Record<"before" | "kept" | "candidate" | "written" | "into" | "out" | "squashed" | "put", string>} pipes
 * @property {Record<"i" | "f" | "o", [number, number]>} valves
 * @property {[number, number, number][]} arrows places on the pipes, with the angle of the flow
 * @property {[number, number]} plus
 * @property {[number, number]} squash
 * @property {Gauge} tank
 * @property {Gauge} gauge
 * @property {Record<string, Caption>} captions
 */

/** @type {Layout} */
export const WIDE_STAGE = {
  box: "24 0 736 282",
  upright: true,
  pipes: {
    before: "M24 196H210",
    kept: "M210 196H318",
    candidate: "M24 72H210",
    written: "M210 72H330V184",
    into: "M342 196H392",
    out: "M502 196H552",
    squashed: "M592 196H652",
    put: "M652 196H714",
  },
  valves: {i: [210, 72], f: [210, 196], o: [652, 196]},
  arrows: [
    [120, 72, 0],
    [120, 196, 0],
    [330, 130, 90],
    [272, 196, 0],
    [367, 196, 0],
    [527, 196, 0],
    [686, 196, 0],
  ],
  plus: [330, 196],
  squash: [572, 196],
  tank: {x: 392, y: 100, width: 110, height: 150, upright: true},
  gauge: {x: 714, y: 158, width: 20, height: 76, upright: true},
  captions: {
    g: {x: 24, y: 48, anchor: "start"},
    c_prev: {x: 24, y: 172, anchor: "start"},
    i: {x: 210, y: 20, anchor: "middle"},
    f: {x: 210, y: 144, anchor: "middle"},
    o: {x: 652, y: 144, anchor: "middle"},
    c: {x: 447, y: 84, anchor: "middle"},
    h: {x: 736, y: 262, anchor: "end"},
    kept: {x: 236, y: 228, anchor: "start"},
    written: {x: 236, y: 104, anchor: "start"},
  },
};

/** @type {Layout} */
export const TALL_STAGE = {
  box: "0 0 328 600",
  upright: false,
  pipes: {
    before: "M60 36V152",
    kept: "M60 152V238",
    candidate: "M268 36V82",
    written: "M268 82V250H72",
    into: "M60 262V292",
    out: "M60 402V428",
    squashed: "M60 468V512",
    put: "M60 512V560",
  },
  valves: {i: [268, 82], f: [60, 152], o: [60, 512]},
  arrows: [
    [60, 80, 90],
    [268, 50, 90],
    [268, 180, 90],
    [60, 200, 90],
    [60, 277, 90],
    [60, 415, 90],
    [60, 540, 90],
  ],
  plus: [60, 250],
  squash: [60, 448],
  tank: {x: 22, y: 292, width: 176, height: 110, upright: true},
  gauge: {x: 22, y: 560, width: 76, height: 20, upright: false},
  captions: {
    g: {x: 326, y: 22, anchor: "end"},
    c_prev: {x: 22, y: 22, anchor: "start"},
    i: {x: 214, y: 78, anchor: "end", lines: true},
    f: {x: 112, y: 148, anchor: "start", lines: true},
    o: {x: 112, y: 508, anchor: "start", lines: true},
    c: {x: 226, y: 340, anchor: "start", lines: true},
    h: {x: 112, y: 566, anchor: "start", lines: true},
    kept: {x: 84, y: 208, anchor: "start"},
    written: {x: 244, y: 226, anchor: "end"},
  },
};
