/** Beside the title: forward or backward, the chapters, one's own model, the keys. */
import {el, setAttributes} from "./dom.js";
import {keyList} from "./keys.js";

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
    setAttributes(button, {"aria-expanded": String(isOpen), "aria-keyshortcuts": keys || null});
  };
  const toggle = () => {
    if (panel.contains(document.activeElement)) button.focus();
    show(Boolean(panel.hidden));
  };
  const button = el("button", {type: "button", "aria-controls": id, ...attributes, onclick: toggle}, ...words);
  show(false);
  return {button, panel};
}

/** @param {Page} page */
function ownModel(page) {
  const command = "gatewise page model.onnx --x rain.csv -o rain.html";
  const first = page.doc.teaching
    ? "This page opens your own trained LSTM too, with its layers, names and dates. In a terminal:"
    : "This is a model of your own. Another one becomes a page in the same way. In a terminal:";
  return [
    el("p", {}, first),
    el("p", {}, el("code", {}, command)),
    el(
      "p",
      {class: "soft"},
      "It becomes one file like this one. It asks nothing of the network, and nothing leaves it.",
    ),
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
  const forward = el("button", {type: "button", onclick: () => turn(false)}, "forward");
  const backward = el("button", {type: "button", onclick: () => turn(true)}, "backward");
  let last = 0;
  const chapters = el(
    "button",
    {
      type: "button",
      onclick: () => {
        store.change({chapter: store.state.chapter === null ? last : null, premise: []});
      },
    },
    "chapters",
  );
  const model = disclosure("own-model", ["your model"], {}, ownModel(page));
  const keys = disclosure("keys", ["keys ", el("kbd", {"aria-hidden": "true"}, "?")], {"aria-keyshortcuts": "?"}, [
    keyList(page),
  ]);
  const element = el(
    "div",
    {class: "title"},
    el(
      "div",
      {class: "controls"},
      el("span", {class: "group", role: "group", "aria-label": "Pass"}, forward, backward),
      page.doc.chapters?.length ? chapters : null,
      model.button,
      keys.button,
    ),
    model.panel,
    keys.panel,
  );
  store.show(state => {
    forward.setAttribute("aria-pressed", String(!state.backward));
    backward.setAttribute("aria-pressed", String(state.backward));
    chapters.setAttribute("aria-pressed", String(state.chapter !== null));
    if (state.backward) forward.setAttribute("aria-keyshortcuts", "b");
    else forward.removeAttribute("aria-keyshortcuts");
    if (state.backward) backward.removeAttribute("aria-keyshortcuts");
    else backward.setAttribute("aria-keyshortcuts", "b");
    last = state.chapter ?? last;
  });
  return element;
}
