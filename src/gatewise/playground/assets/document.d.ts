/** The data that Python writes into a page: see playground/document.py. Every type here is known to all modules. */

/** A number of the document; those that JSON has not are strings: "nan", "inf", "-inf". */
type WrittenNumber = number | "nan" | "inf" | "-inf";
type NestedNumbers = WrittenNumber | NestedNumbers[];
/** An array: nested lists, or the bytes of its numbers in base64. */
type WrittenArray = NestedNumbers | {shape: number[]; dtype: string; base64: string};

interface Activation {
  name: string;
  alpha: number | null;
  beta: number | null;
}
/** A nonlinearity as a formula of the symbol a. */
interface Nonlinearity extends Activation {
  definition: Tree;
}

/** A formula. */
type Tree =
  | {node: "symbol"; text: string}
  | {node: "sum"; terms: Tree[]}
  | {node: "product"; factors: Tree[]}
  | {node: "matmul"; left: Tree; right: Tree}
  | {node: "call"; name: string; arguments: Tree[]; activation: Activation | null}
  | {node: "stack"; parts: Tree[]; mark?: string}
  | {node: "number"; value: WrittenNumber}
  | {node: "row"; values: number[]}
  | {node: "negative"; term: Tree}
  | {node: "transpose"; matrix: Tree}
  | {node: "outer"; left: Tree; right: Tree; rows?: boolean}
  | {node: "part"; vector: Tree; start: number | string; stop: number | string}
  | {node: "quotient"; over: Tree; under: Tree}
  | {node: "power"; base: Tree; exponent: Tree}
  | {node: "holds"; left: Tree; relation: string; right: Tree}
  | {node: "slope"; body: Tree};

type Kind = "input" | "state" | "parameter" | "mask" | "gradient";
interface Given {
  symbol: string;
  axes: string[];
  kind: Kind;
}
interface Assignment {
  left: string;
  right: Tree;
  axes: string[];
  /** Whether it is added over steps: the gradient with respect to a parameter. */
  sums: boolean;
}
/** `into` is what a step takes, `source` what its neighbour gives. */
interface Carry {
  into: string;
  source: string;
}
interface WrittenProgram {
  given: Given[];
  forward: Assignment[];
  backward: Assignment[];
  carry: Carry[];
  carry_backward: Carry[];
  nonlinearities: Nonlinearity[];
}

/** A quantity: see playground/quantities.py. */
interface Quantity {
  /** Its name in programs and in addresses. */
  text: string;
  base: string;
  below: string;
  gate: string | null;
  /** The letters below it besides its gate. */
  rest: string;
  hue: string | null;
  gradient_of: string | null;
  role: string;
  /** Whether its values lie between 0 and 1. */
  amount: boolean;
}
type Role =
  | "input"
  | "input_gate"
  | "forget_gate"
  | "candidate"
  | "output_gate"
  | "hidden_state"
  | "previous_hidden_state"
  | "cell_state"
  | "previous_cell_state"
  | "cell_sum"
  | "gated_output"
  | "cell_gradient"
  | "output_gradient"
  | "output"
  | "output_bias"
  | "read"
  | "skipped"
  | "forward_output"
  | "backward_output";
type Roles = Record<Role, string>;
interface WrittenQuantities {
  records: Quantity[];
  roles: Partial<Roles>;
}

type MergeHow = "concat" | "sum" | "mul" | "average" | "none";
interface WrittenCell {
  program: number;
  parameters: number;
  direction: "forward" | "backward";
}
interface WrittenHead {
  given: Given[];
  constants: Record<string, WrittenArray>;
  skip: number;
  equations: Assignment[];
  nonlinearities: Nonlinearity[];
}
interface WrittenWiring {
  layers: WrittenCell[][];
  merge: {how: MergeHow; equations: Assignment[]}[];
  masked_output: "zeros" | "repeat";
  marked: WrittenNumber | null;
  embedding: WrittenArray | null;
  initial: Record<string, WrittenArray>[][] | null;
  reads: "every" | "last";
  head: WrittenHead | null;
}
interface WrittenInputs {
  x: WrittenArray;
  valid: boolean[] | null;
  state: Record<string, WrittenArray>[][] | null;
  dropout: Record<string, WrittenArray>[][] | null;
}
interface Labels {
  features?: string[] | null;
  units?: string[][] | null;
  times?: string[] | null;
  outputs?: string[] | null;
  measures?: Record<string, string[]>;
}

/** A template of a formula: see views/mathml.js. */
type Template = string | TemplateNode;
type TemplateNode = [string, ...TemplatePart[]];
type TemplatePart = Template | number | string[] | Record<string, string>;
/** A name: its entry of the unit; [name]: the number itself; [name, start]: its entry start + unit. */
type SlotRef = string | [string] | [string, number];
interface Line {
  math: Template[];
  text: string;
  put: Template[] | null;
  told: Template[] | null;
}
interface Elided {
  most: number;
  first: number;
  text: string;
}
interface Formulas {
  symbols: Record<string, Template>;
  lines: Record<string, Line>;
  elided: Elided;
}

interface Case {
  words: string;
  /** The number of its condition; it always holds where there is none. */
  when?: number;
}
/** A sentence on each unit: the first case that holds, of each part. */
interface Saying {
  of: string;
  variables: Record<string, Tree>;
  parts: Case[][];
  what: string;
  begins: boolean;
}
interface Pass {
  given: [string, string][];
  lines: string[];
}
interface Words {
  names: Record<string, string>;
  sayings: Record<string, Saying | {words: string}>;
  of: Record<string, string>;
  moment: Saying;
  conditions: Tree[];
  each: {most: number; listed: string; unfinite: string; alike: string; extremes: string};
  weights: {unfinite: string; none: string; largest: string; of: [string, string][]};
  gates: [string, string][];
  formula: string;
  source: {head: string; forward: Pass; backward: Pass};
}
/** Of a head there are names alone. */
type SomeWords = Words | Pick<Words, "names" | "sayings" | "of">;

/** Likely mistakes of a program: see playground/quantities.py. */
interface Mistakes {
  edits: {kind: string; words: string; target: string; form: number}[];
  forms: Tree[];
  /** Kinds that are told even where few digits cannot tell them from others. */
  usual: string[];
}
/** The constants of the grader: see playground/lesson.py. */
interface Grader {
  rounding: number;
  least_rounded: number;
  single_share: number;
  least_single: number;
  vague: number;
  /** In which a number of the page is right: it needs as many digits. */
  tolerance: number;
  most_units: number;
  most_share: number;
  fewest_cut: number;
  bound: number;
  trivial: number;
  grid_decimals: number;
  equal_chances: number;
}
type ChapterEdit = {name: string; step: number | null; at: number[]; value: number};
/** A wrong number that a chapter expects, and its sentence: see playground/lesson.py. */
interface ChapterMistake {
  value: number | (number | string)[][];
  step?: number;
  edits?: ChapterEdit[];
  says: string;
}
/** The phrases of a section by key; {} and {name} are slots. */
type Phrases = Record<string, string>;
interface Chapter {
  key: string;
  scene: string;
  title: string;
  text: string[];
  question: string;
  after: string;
  learned?: string;
  focus: Partial<State>;
  edits: ChapterEdit[] | "drawn";
  /** The number, where no line of the step is asked for. */
  right?: number;
  ask: {name?: string; lines?: number; step: number; at: number[]; tolerance?: number; also?: string[]; hide?: Hide[]};
  mistakes: ChapterMistake[];
  /** The question, where it has other numbers. */
  again?: string;
  draws?: {edits?: (number | ChapterEdit)[]; right?: number; put?: Record<string, number>; mistakes?: number[]}[];
  put?: Record<string, number>;
  /** A picture in its text: see views/demos.js. */
  demo?: string;
  /** Where to look; and where no line of the step is asked for, its formula with names, and with numbers. */
  hints?: string[];
}

/** All that a page computes with. */
interface RunDocument {
  program: WrittenProgram[];
  quantities: {cells: WrittenQuantities[]; merge: WrittenQuantities; head: WrittenQuantities | null};
  wiring: WrittenWiring;
  parameters: Record<string, WrittenArray>[];
  inputs: WrittenInputs;
  labels: Labels;
  phrases?: Record<string, Phrases>;
}
interface PageDocument extends RunDocument {
  format: "gatewise page";
  version: number;
  written_by: string;
  lang: "en" | "de";
  title: string;
  about: string[];
  words: SomeWords[];
  formulas: Formulas[];
  edits?: Mistakes[];
  chapters?: Chapter[];
  phrases: Record<string, Phrases>;
  grader?: Grader;
  teaching?: boolean;
  sorted?: number[][][];
  /** The scene's name, on a teaching page. */
  scene?: string;
  /** The names of what a scene's own view adds to the state. */
  own?: string[] | null;
  /** Of a scene that reads: the letters with a token, those that are read as one of them, and the text. */
  reads?: {letters: string; alike: Record<string, string>; text: string} | null;
}
interface SceneDocument extends PageDocument {
  scene: string;
  /** the name of the file that a reader dropped on the page: the document is of its model */
  file?: string;
}
/** A teaching page: its first scene, and in `scenes` every scene's part of what differs. */
interface TeachingDocument extends SceneDocument {
  scenes: {scene: string[]; [key: string]: unknown[]};
}
