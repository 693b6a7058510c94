/** The one focus of the page. Every view is derived from it, and the URL's hash holds it. */

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
  let drawn = null;
  /** @param {View} view @param {State} previous */
  function call(view, previous) {
    try {
      view(state, previous);
    } catch (error) {
      failed(error);
    }
  }
  function flush() {
    const previous = drawn ?? state;
    drawn = null;
    for (const view of views) call(view, previous);
  }
  return {
    get state() {
      return state;
    },
    /** @param {Partial<State>} part */
    change(part) {
      if (drawn === null) {
        drawn = state;
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
    /** Call no view any more. */
    close() {
      views.clear();
      ofRun.clear();
    },
    /** The whole run is computed: what shows one step shows the same as before. */
    settle() {
      for (const view of ofRun) call(view, state);
    },
  };
}
