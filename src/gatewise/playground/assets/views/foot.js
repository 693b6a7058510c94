/** The foot: what this is a page of, and what can be taken away. */
import {button, el} from "./dom.js";
import {gatesCsv, sourceOf} from "./export.js";
import {pagePhrase} from "./phrases.js";

/** Hand a text to the reader as a file. @param {string} name @param {string} type @param {string} text */
function handOver(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], {type: `${type};charset=utf-8`}));
  const link = el("a", {href: address, download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** @param {Page} page */
export function footView(page) {
  const takeSource = () => {
    const {state} = page.store;
    handOver(`step_${state.step}.py`, "text/x-python", sourceOf(page, state));
  };
  const source = button(takeSource, {}, pagePhrase(page, "foot.step"));
  const gates = button(() => handOver("gates.csv", "text/csv", gatesCsv(page)), {}, pagePhrase(page, "foot.gates"));
  const {about, written_by: version} = page.doc;
  return el(
    "div",
    {class: "foot"},
    el("p", {class: "takeaway"}, `${pagePhrase(page, "foot.take")} `, source, " ", gates),
    about.length ? el("p", {}, [...about, pagePhrase(page, "foot.written", {version})].join(" ")) : null,
    el("p", {}, pagePhrase(page, "foot.sends")),
  );
}
