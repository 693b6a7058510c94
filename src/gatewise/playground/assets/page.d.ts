/** The types that several modules of the page share. */

// The engine.

type Model = import("./engine/model.js").Model;
type Network = import("./engine/network.js").Network;
type ProgramRun = import("./engine/program_run.js").ProgramRun;
/** The wiring of a document, decoded; and a cell in it. */
type Wiring = ReturnType<typeof import("./engine/wiring.js").wiringOf>;
type WiredCell = Wiring["layers"][number][number];
type QuantityTable = import("./engine/quantity_table.js").QuantityTable;

/** A cell by its layer and its place in it; the head is behind the last layer. */
interface Place {
  layer: number;
  direction: number;
}
/** A quantity of a cell. */
interface NameRef extends Place {
  name: string;
}
/** A quantity at a step; of a parameter, or of its gradient summed over steps, the step is null. */
interface StepRef extends NameRef {
  step: number | null;
}
/** One number: an entry of a quantity at a step. */
interface Ref extends StepRef {
  at: number[];
}
interface Edit {
  ref: Ref;
  value: number;
}
interface NumberLoss {
  of: "h" | "y" | "error";
  layer: number;
  direction: number;
  unit: number;
  step: number;
}
/** One number; or a sum of all outputs, weighted by `dy`, and of the last states, weighted by `after`. */
type Loss = NumberLoss | {of: "all"; dy: Float64Array; after?: Record<string, Float64Array>};

interface TrainingSettings {
  task: "latch" | "echo";
  delay: number;
  optimiser: "adam" | "descent";
  rate: number;
  /** The largest norm of a gradient; 0: any. */
  clip: number;
  bias: number;
  seed: number;
}

/** Numbers row by row. */
interface Values {
  shape: number[];
  data: Float64Array;
}
/** A place for a value. */
interface Slot {
  shape: number[];
  size: number;
  data: Float64Array;
  offset: number;
}
/** An operation; `run` is null where there is nothing to do. */
interface Op {
  slot: Slot;
  run: (() => void) | null;
  /** From step to step. */
  varies: boolean;
  /** One entry of an outer product. */
  entry?: (n: number) => number;
  /** Adds all entries of an outer product, without writing it down. */
  addTo?: (total: Float64Array) => void;
}
/**
 * Products that no state is part of, for every step. `again` computes one row of those that are ready, if `byRow` says
 * that a row of the matrix depends on the same row alone.
 */
interface KnownProducts {
  /** The symbols in the matrix. */
  names: string[];
  at: () => number;
  ready: Uint8Array;
  data: Float64Array;
  again: ((row: number, column?: number) => void) | null;
  byRow: boolean;
}
/** Columns of a matrix that meet one vector. */
interface Block {
  first: number;
  count: number;
  known: KnownProducts | null;
}
/** The meaning of a formula's symbols. */
interface Scope {
  slot: (name: string) => Slot;
  /** Constant parts are computed once, by `once`. */
  varies: (name: string) => boolean;
  once: (() => void)[];
  definition: (call: Activation) => Tree | null;
  sizes: Record<string, number>;
  blocks: ((left: Tree, right: Tree, rows: number, columns: number) => Block[]) | null;
}
interface Program extends WrittenProgram {
  quantities: QuantityTable;
}
interface Setting {
  program: Program;
  steps: number;
  /** From the last step to the first. */
  reverse: boolean;
  valid: Uint8Array | null;
  /** Parameters, and masks that are the same at every step. */
  constants: Record<string, Values>;
  /** Masks and inputs of every step. */
  rows: Record<string, {size: number; data: Float64Array}>;
  /** The lengths of axes. */
  sizes: Record<string, number>;
  /** The only names that every step has, where memory is short; null: all. */
  lean?: Set<string> | null;
}
interface CompiledQuantity {
  op: Op;
  run: () => void;
  /** Whether it is computed in every step, or when it is asked for. */
  always: boolean;
  /** Whether every step has its own value. */
  stored: boolean;
  sums: boolean;
}
/** `last` is where the run ends; `passed` is added at steps that are not valid. */
interface Carried {
  name: string;
  into: Slot;
  source: Slot;
  last: Float64Array;
  passed: Slot | null;
}
/** A factor of a product; `ref` is null for what is no entry of a quantity. */
interface Factor {
  tree: Tree;
  value: number;
  ref: Ref | null;
}
interface Term {
  factors: Factor[];
  value: number;
  negative: boolean;
}
/** The gradient along the cell state, and what the direct way alone leaves of it, from one step to another. */
type GradientPath = NonNullable<ReturnType<typeof import("./engine/gradient_path.js").directPath>>;

// The judge.

type Verdict = import("./judge/judge.js").Verdict;
type Lines = import("./judge/lines.js").Lines;
type Cause = import("./judge/causes.js").Cause;
type Expectation = import("./judge/expected.js").Expectation;
/** Numbers by quantity; a quantity that is missing has the model's. */
type LineNumbers = Map<string, Float64Array>;
interface WrittenNumeral {
  value: number;
  tolerance: number;
  text: string;
}

// The views.

/** A listener, of whatever event. */
type Listener = {handle(event: Event): void}["handle"];
/** Null, undefined and false leave an attribute out, true sets it empty, and a function listens ("onclick"). */
type Attribute = string | number | boolean | null | undefined | Listener;
type Child = Node | string | number | null | undefined | false;

/** The focus of the page, which its address holds. */
interface State extends Place {
  step: number;
  unit: number;
  /** The quantity of the strip. */
  quantity: string;
  level: "overview" | "step" | "number" | "product";
  /** Which product of the opened number. */
  product: number | null;
  /** The opened number, as addresses write it: see views/detail.js. */
  detail: string;
  backward: boolean;
  loss: NumberLoss;
  chapter: number | null;
  /** Whether the scene's settings have been those of the chapter. */
  begun: boolean;
  edits: Edit[];
  /** The edits that the chapter supposes. */
  premise: Edit[];
  /** Which of its numbers the chapter asks with: see `draws` in playground/lesson.py. */
  draw: number;
  playing: boolean;
  answer: Answer | null;
  /** Of each chapter, "r" if it was answered right, "s" if its number was shown, "-" if neither. */
  progress: string;
  /** Whether units stand in order of their timescale. */
  sorted: boolean;
  /** The scene; null: the first, or none. */
  scene: string | null;
  /** What the scene's own view adds, by the names in its document's `own`; missing: as it was made. */
  own: Record<string, string>;
  /** Whether gradients are drawn on a logarithmic scale. */
  logarithmic: boolean;
}
type View = (state: State, previous: State) => void;
type Store = ReturnType<typeof import("./views/store.js").createStore>;
/** What a page is begun with. */
interface Opening {
  doc: PageDocument;
  model: Model;
  /** Of a teaching page; null on a model's. */
  lesson: Lesson | null;
}
interface Lesson {
  scenes: SceneDocument[];
  /** That of the state, from scene to scene. */
  progress: string;
  /** Draws a scene, or another document of it, with a part of its first state; without it, the address says it. */
  enter: (scene: string, part?: ((page: Opening) => Partial<State>) | null, doc?: SceneDocument) => void;
  atChapter: (page: Opening, number: number, edits?: Edit[], draw?: number) => Partial<State>;
}
interface Page extends Opening {
  /** Aborted once the page is closed: for listeners and timers outside of the views' own elements. */
  closed: AbortSignal;
  store: Store;
  /** Speaks politely to those who do not see the page. */
  say: (text: string) => void;
  /** Shows a sentence in the status line. */
  tell: (text: string) => void;
  /** Whether the whole run is computed with the edits of the state. */
  settled: boolean;
  /** How often its values have changed. */
  runs: number;
}
/** Quantities of a cell that are hidden, from one step to another. */
interface Hide {
  names: string[];
  from: number;
  to: number;
}
/** A question: see views/visibility.js. */
interface Answer {
  /** The number that is asked for, or the last of several. */
  ref: Ref & {step: number};
  lines: string[];
  hides: Hide[];
  typed: Record<string, string>;
  judged: Record<string, Verdict>;
  /** Whether it was given up. */
  shown: boolean;
  backward: boolean;
  /** The number, where a chapter states it. */
  right?: number;
  /** Whether lines of a step are asked for, and not one number. */
  worked: boolean;
  chapter: number | null;
}
/** A quantity that the strip can show. */
interface StripQuantity {
  name: string;
  words: string;
  group: "gates" | "states" | "pre-activations" | "input" | "output" | "gradients";
  place: Place;
  /** Whether its rows are the units of the cell. */
  ofUnits: boolean;
  amount: boolean;
}
interface Scale {
  name: "amount" | "signed";
  low: number;
  high: number;
  /** Powers of ten on either side of 0 on a logarithmic scale; 0: a linear one. */
  decades: number;
}
type Field = ReturnType<typeof import("./views/field.js").fieldOf>;
type FieldCursor = import("./views/field.js").FieldCursor;
interface FieldPlace {
  row: number;
  step: number;
}
interface LevelRange {
  low: number;
  high: number;
}
type StageGate = "input_gate" | "forget_gate" | "output_gate";
type StageSource = "input" | "recurrent";
type StageSide = "kept" | "written";
interface Caption {
  x: number;
  y: number;
  anchor: "start" | "middle" | "end";
  /** Whether the words stand above the number. */
  lines?: boolean;
  /** Whether the number stands below the letter. */
  stacked?: boolean;
}
interface Gauge {
  x: number;
  y: number;
  width: number;
  height: number;
}
/** The places of the stage's parts. */
interface Layout {
  box: string;
  /** Whether captions are letters without names. */
  isShort: boolean;
  pipes: Record<"before" | "kept" | "candidate" | "written" | "into" | "out" | "squashed" | "output", string>;
  /** Where the input and the hidden state come from, and from there to what is computed from both. */
  sources: Record<StageSource, string>;
  feeds: Record<StageGate | "candidate", string>;
  valves: Record<StageGate, [number, number]>;
  /** Places on the pipes, with the angle of the flow. */
  arrows: [number, number, number][];
  plus: [number, number];
  squash: [number, number];
  tank: Gauge;
  gauge: Gauge;
  captions: Record<keyof Flow["names"] | StageSide, Caption>;
}
/** An amount in a pipe; null where the equation has no such part. `tells` are the quantities that it gives away. */
interface Amount {
  value: number | null;
  tells: string[];
}
interface Flow {
  pipes: Record<keyof Layout["pipes"], Amount>;
  /** The quantities at the ends of the pipes, in the tank and the gauge. */
  names: Record<StageGate | StageSource | "candidate" | "before" | "cell" | "output", string>;
  /** Behind the valves. */
  notes: Record<StageSide, Amount> | null;
  /** The function between the cell state and the output. */
  squash: string;
}
/** The numbers in the slots of a template: see views/mathml.js. */
interface SlotNumbers {
  elided: Elided;
  entry: (ref: SlotRef, unit: number) => number;
  list: (ref: SlotRef, unit: number) => Float64Array;
  pairs: (matrices: string[], turned: number, vector: string, unit: number) => [number, number][];
  count: (name: string) => number;
  symbol: (name: string) => Template;
}
type Piece = Node | string;
interface SignedTerm {
  sign: "+" | "-";
  content: Piece[];
}
/** A way to write templates: as MathML or as text. */
interface TemplateWriter {
  number: (value: number, how: string) => Piece[];
  leftOut: (text: string) => Piece[];
  list: (items: Piece[][]) => Piece[];
  times: () => Piece;
  sum: (terms: SignedTerm[]) => Piece[];
}
