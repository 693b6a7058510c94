/** Beside the title: forward or backward, the chapters, one's own model, the keys. */
import {button, el, setAttributes} from "./dom.js";
import {keyList} from "./keys.js";
import {pagePhrase} from "./phrases.js";
import {originalState} from "./start.js";

/**
 * A button that shows and hides a panel below the title.
 * @param {string} id @param {(string | Node)[]} words @param {Record<string, string>} attributes @param {Node[]} content
 */
function disclosure(id, words, attributes, content) {
  const panel = el("div", {id, class: "panel", hidden: true}, ...content);
  const key = attributes["aria-keyshortcuts"] ?? "";
  /** While it is shown, Escape closes it. @param {boolean} isOpen */
  const show = isOpen => {
    const keys = `${key} ${isOpen ? "Escape" : ""}`.trim();
    panel.hidden = !isOpen;
    setAttributes(opener, {"aria-expanded": String(isOpen), "aria-keyshortcuts": keys || null});
  };
  const toggle = () => {
    if (panel.contains(document.activeElement)) opener.focus();
    show(Boolean(panel.hidden));
  };
  const opener = button(toggle, {"aria-controls": id, ...attributes}, ...words);
  show(false);
  return {button: opener, panel};
}

/** @param {Page} page */
function ownModel(page) {
  const command = "gatewise page model.onnx --x rain.csv -o rain.html";
  return [
    el("p", {}, pagePhrase(page, page.doc.teaching ? "title.own" : "title.another")),
    el("p", {}, el("code", {}, command)),
    el("p", {class: "soft"}, pagePhrase(page, "title.file")),
  ];
}

/** @param {Page} page */
export function titleView(page) {
  const {store} = page;
  /** @param {boolean} backward */
  const turn = backward => {
    const roles = page.model.roles(store.state);
    const name = backward ? roles.cell_gradient : roles.forget_gate;
    if (store.state.backward !== backward) store.change({backward, quantity: name, detail: name, product: null});
  };
  const forward = button(() => turn(false), {}, pagePhrase(page, "cells.forward"));
  const backward = button(() => turn(true), {}, pagePhrase(page, "cells.backward"));
  let last = originalState(page).chapter;
  const turnChapters = () => store.change({chapter: store.state.chapter === null ? last : null, premise: []});
  const chapters = button(turnChapters, {}, pagePhrase(page, "chapters"));
  const model = disclosure("own-model", [pagePhrase(page, "title.model")], {}, ownModel(page));
  const keys = disclosure(
    "keys",
    [`${pagePhrase(page, "title.keys")} `, el("kbd", {"aria-hidden": "true"}, "?")],
    {"aria-keyshortcuts": "?"},
    [keyList(page)],
  );
  const element = el(
    "div",
    {class: "title"},
    el(
      "div",
      {class: "controls"},
      el("span", {class: "group", role: "group", "aria-label": pagePhrase(page, "title.pass")}, forward, backward),
      page.doc.chapters?.length ? chapters : null,
      model.button,
      keys.button,
    ),
    model.panel,
    keys.panel,
  );
  store.show(state => {
    const isBack = state.backward;
    setAttributes(forward, {"aria-pressed": String(!isBack), "aria-keyshortcuts": isBack && "b"});
    setAttributes(backward, {"aria-pressed": String(isBack), "aria-keyshortcuts": !isBack && "b"});
    setAttributes(chapters, {"aria-pressed": String(state.chapter !== null)});
    last = state.chapter ?? last;
  });
  return element;
}
