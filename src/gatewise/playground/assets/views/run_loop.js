/** The model follows the state: edits and loss first, then the rest of the run in slices, so that the page answers. */

const FIRST = 8; // milliseconds, before the chosen step is shown
const SLICE = 30; // of the rest, between two pictures

/** Keep the model at the state's edits and loss. Registered first, so that every view reads a model that fits.
 * @param {Page} page */
export function followRun(page) {
  const {model, store} = page;
  let frame = 0,
    timer = 0;
  /** Compute on once what is drawn is seen. */
  function goOn() {
    frame = requestAnimationFrame(() => {
      timer = setTimeout(finish);
    });
  }
  function finish() {
    if (!model.finish(SLICE)) return goOn();
    page.settled = true;
    store.settle();
  }
  const stop = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  page.closed.addEventListener("abort", stop);
  store.show((state, previous) => {
    const isFirst = state === previous && page.runs === 0;
    const isEdited = isFirst || state.edits !== previous.edits;
    const isOfOtherLoss = isFirst || state.loss !== previous.loss || state.backward !== previous.backward;
    if (isEdited) model.edit(state.edits);
    if (isOfOtherLoss || (isEdited && state.loss.of === "error")) model.setLoss(state.loss);
    if (!isEdited && !isOfOtherLoss) return;
    model.wantsBackward ||= state.backward;
    stop();
    page.settled = model.finish(FIRST);
    page.runs += 1;
    if (!page.settled) goOn();
  });
}
