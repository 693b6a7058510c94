/** The one focus of the page. Every view is derived from it, and the URL's hash holds it. */

/** @typedef {{layer: number, direction: number, name: string, step: number | null, at: number[]}} Ref */
/** @typedef {{ref: Ref, value: number}} Edit */
/** @typedef {{of: "h" | "y", layer: number, direction: number, unit: number, step: number}} Loss */
/**
 * @typedef {object} State
 * @property {number} step
 * @property {number} layer
 * @property {number} direction which cell of the layer, by its place
 * @property {number} unit
 * @property {string} quantity what the strip shows
 * @property {"overview" | "step" | "number" | "product"} level
 * @property {number | null} product which product of the opened number, by its place
 * @property {string} name the opened quantity
 * @property {boolean} backward
 * @property {Loss} loss
 * @property {number | null} chapter
 * @property {Edit[]} edits
 * @property {Edit[]} premise the edits that the chapter supposes: going back leads to them
 * @property {boolean} playing
 * @property {any} answer what was typed where a number is to be predicted
 * @property {boolean} sorted whether units stand in order of their timescale
 */
/** @typedef {(state: State, previous: State) => void} View */
/** @typedef {ReturnType<typeof createStore>} Store */
/**
 * What every view is given.
 * @typedef {object} Page
 * @property {any} doc the document that Python wrote
 * @property {import("../engine/model.js").Model} model
 * @property {Store} store
 * @property {(text: string) => void} say speaks politely to those who do not see the page
 * @property {(text: string) => void} tell shows one sentence in the status line
 * @property {boolean} settled whether the whole run is computed with the edits of the state
 * @property {number} runs how often its values have changed
 */

/**
 * A store whose views are called once for all changes of one task.
 * @param {State} initial @param {(error: unknown) => void} [failed] is told what a view threw; the other views go on
 */
export function createStore(
  initial,
  failed = error => {
    throw error;
  },
) {
  /** @type {Set<View>} */
  const views = new Set();
  /** @type {Set<View>} */
  const ofRun = new Set();
  let state = initial;
  /** @type {State | null} */
  let shown = null;
  /** @param {View} view @param {State} previous */
  function call(view, previous) {
    try {
      view(state, previous);
    } catch (error) {
      failed(error);
    }
  }
  function flush() {
    const previous = shown ?? state;
    shown = null;
    for (const view of views) call(view, previous);
  }
  return {
    get state() {
      return state;
    },
    /** @param {Partial<State>} part */
    change(part) {
      if (shown === null) {
        shown = state;
        queueMicrotask(flush);
      }
      state = {...state, ...part};
    },
    /** Call a view now, after every change, and if it shows the whole run, once that is computed.
     * @param {View} view @param {boolean} [isOfRun] */
    show(view, isOfRun = false) {
      views.add(view);
      if (isOfRun) ofRun.add(view);
      call(view, state);
    },
    /** The whole run is computed: what shows one step shows the same as before. */
    settle() {
      for (const view of ofRun) call(view, state);
    },
  };
}
