/** Keys press the visible buttons that name them, so that every key has a button and every button its name. */
import {el, isWriting} from "./dom.js";
import {pagePhrase} from "./phrases.js";

/** The keys and the phrases of their actions, as the list shows them. */
const KEYS = [
  ["← →", "keys.across"],
  ["↑ ↓", "keys.along"],
  ["Enter", "keys.down"],
  ["Escape", "keys.up"],
  ["keys.space", "keys.play"],
  ["b", "keys.pass"],
  ["e", "keys.edit"],
  ["keys.backspace", "keys.original"],
  ["?", "keys.list"],
];

/** Whether letters and signs are keys: those who speak to their computer can have it otherwise. */
const letterKeys = {on: true};

/** Whether an element uses a key itself. @param {KeyboardEvent} event */
function isTaken(event) {
  const {target, key} = event;
  if (key.length === 1 && key !== " " && !letterKeys.on) return true;
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return true;
  if (isWriting(target)) return key !== "Escape" || !document.querySelector(".panel:not([hidden])");
  if (!(target instanceof Element)) return false;
  if ((key === " " || key === "Enter") && target.closest("button, a, summary, input, [role=button]")) return true;
  return key.startsWith("Arrow") && target.closest("[role=slider], [role=grid], [role=tablist], input") !== null;
}

/** A key presses the first visible button that names it. @param {AbortSignal} closed */
export function listenToKeys(closed) {
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (isTaken(event)) return;
    const name = event.key === " " ? "Space" : event.key;
    for (const button of document.querySelectorAll("[aria-keyshortcuts]")) {
      const names = (button.getAttribute("aria-keyshortcuts") ?? "").split(" ");
      if (!names.includes(name) || !(button instanceof HTMLElement)) continue;
      if (button.closest("[hidden]") || button.matches(":disabled, [aria-disabled=true]")) continue;
      event.preventDefault();
      button.click();
      return;
    }
  };
  document.addEventListener("keydown", press, {signal: closed});
}

/** The list of keys. @param {Page} page */
export function keyList(page) {
  const list = KEYS.map(([key, action]) => {
    const name = key.startsWith("keys.") ? pagePhrase(page, key) : key;
    return el("div", {}, el("dt", {}, el("kbd", {}, name)), el("dd", {}, pagePhrase(page, action)));
  });
  const letters = el("input", {
    type: "checkbox",
    checked: true,
    onchange: () => {
      letterKeys.on = letters.checked;
    },
  });
  return el(
    "div",
    {},
    el("dl", {class: "keys"}, ...list),
    el("p", {}, el("label", {}, letters, ` ${pagePhrase(page, "keys.letters")}`)),
  );
}
