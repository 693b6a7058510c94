/** A model and its input from files: dropped or chosen, read here, and drawn in the place of the first scene. */
import {cellOfFile, MOST_UNITS, ownDocument, tableOf} from "../engine/own_cell.js";
import {el, setText} from "./dom.js";
import {pagePhrase} from "./phrases.js";

/** Above what the page says of one's own model. @param {Page} page @returns {null} */
export function ownFileView(page) {
  const {lesson} = page;
  const scene = lesson?.scenes[0];
  if (!lesson || !scene || scene.wiring.layers.length > 1) return null;
  /** @type {import("../engine/own_cell.js").OwnCell | null} */
  let cell = null;
  /** @type {import("../engine/own_cell.js").Table | null} */
  let table = null;
  let name = "";
  const told = el("p", {role: "status"});
  /** @param {string} key @param {Record<string, string | number>} [put] */
  const tell = (key, put) => setText(told, pagePhrase(page, `own.${key}`, put));
  /** @param {File} file */
  async function take(file) {
    if (/\.csv$/i.test(file.name)) {
      table = tableOf(await file.text());
      if (table === null) tell("no table", {file: file.name});
      return table !== null;
    }
    cell = cellOfFile(file.name, await file.arrayBuffer());
    name = file.name;
    if (cell === null) tell("unsupported", {file: file.name, most: MOST_UNITS});
    return cell !== null;
  }
  /** @param {FileList | null | undefined} files */
  async function open(files) {
    for (const file of files ?? []) if (!(await take(file))) return;
    if (!cell) return tell("needs model");
    const {hidden, features} = cell;
    if (!table) return tell("needs table", {features});
    const columns = table.rows[0].length;
    if (columns !== features) return tell("columns", {columns, features});
    const combined = pagePhrase(page, "own.combined", {hidden, features});
    lesson?.enter(
      scene?.scene ?? "",
      () => ({}),
      ownDocument(/** @type {SceneDocument} */ (scene), cell, table, name, combined),
    );
  }
  const input = el("input", {
    type: "file",
    accept: ".safetensors,.onnx,.csv",
    multiple: true,
    onchange: () => open(/** @type {HTMLInputElement} */ (input).files),
  });
  // A file that misses the panel is meant for it, too: else it would replace the page.
  const isOfFiles = (/** @type {DragEvent} */ {dataTransfer}) => dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", event => isOfFiles(event) && event.preventDefault(), {signal: page.closed});
  const drop = (/** @type {DragEvent} */ event) => {
    if (!isOfFiles(event)) return;
    event.preventDefault();
    const opener = document.querySelector("[aria-controls='own-model'][aria-expanded='false']");
    if (opener instanceof HTMLElement) opener.click();
    open(event.dataTransfer?.files);
  };
  document.addEventListener("drop", drop, {signal: page.closed});
  const element = el(
    "div",
    {class: "own-file"},
    el("label", {}, pagePhrase(page, "own.choose", {most: MOST_UNITS}), el("br"), input),
    told,
  );
  document.getElementById("own-model")?.prepend(element);
  return null;
}
