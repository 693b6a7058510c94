/** Keys press the visible buttons that name them, so that every key has a button and every button its name. */
import {el, isWriting} from "./dom.js";

/** The keys and their actions, as the list shows them. */
const KEYS = [
  ["← →", "a step back, a step on"],
  ["↑ ↓", "the unit above, the unit below"],
  ["Enter", "one level down: the step, the number, the product"],
  ["Escape", "one level up"],
  ["Space", "play, pause"],
  ["b", "forward, backward"],
  ["e", "edit the number that is open"],
  ["Backspace", "back to the original"],
  ["?", "this list"],
];

/** Whether letters and signs are keys: those who speak to their computer can have it otherwise. */
const letterKeys = {on: true};

/** Whether an element uses a key itself. @param {KeyboardEvent} event */
function isTaken(event) {
  const {target, key} = event;
  if (key.length === 1 && key !== " " && !letterKeys.on) return true;
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || isWriting(target)) return true;
  if (!(target instanceof Element)) return false;
  if ((key === " " || key === "Enter") && target.closest("button, a, summary, [role=button]")) return true;
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

/** The list of keys. */
export function keyList() {
  const list = KEYS.map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)));
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
    el("p", {}, el("label", {}, letters, " Single letters and signs are keys")),
  );
}
