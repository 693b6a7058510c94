/** Elements from data: text stays text, and nothing is ever parsed as markup. */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * Set attributes where they differ.
 * @param {Element} element @param {Record<string, Attribute>} attributes
 */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else {
      const text = value === true ? "" : String(value);
      if (element.getAttribute(name) !== text) element.setAttribute(name, text);
    }
  }
}

/** Text with a minus before its numbers, and no hyphen: a date's hyphens stay. @param {string | number} text */
function withMinus(text) {
  return String(text).replace(/(?<![\p{L}\p{N}_).-])-(?=\d|inf)/gu, "\u2212");
}

/** @param {Element} element @param {Child[]} children */
function appendChildren(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : withMinus(child));
  }
}

/** Write children in the place of others. @param {Element} element @param {...Child} children */
export function setChildren(element, ...children) {
  element.replaceChildren();
  appendChildren(element, children);
}

/**
 * An HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, Attribute>} [attributes] @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  appendChildren(element, children);
  return element;
}

/**
 * An SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, Attribute>} [attributes] @param {...Child} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  setAttributes(element, attributes);
  appendChildren(element, children);
  return element;
}

/** Name a button by the text on it, by which it can be called, and then by more. @param {HTMLElement} button
 * @param {string} more */
export function nameByText(button, more) {
  const texts = [...button.childNodes].map(({textContent}) => textContent?.trim()).filter(Boolean);
  button.setAttribute("aria-label", `${texts.join(" ")}, ${more}`);
  return button;
}

/**
 * Write text where it differs, so that nothing is announced or drawn twice.
 * @param {Element} element @param {string} text
 */
export function setText(element, text) {
  const written = withMinus(text);
  if (element.textContent !== written) element.textContent = written;
}

/** Whether a press of a key belongs to a field in which text is written. @param {EventTarget | null} target */
export function isWriting(target) {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target.matches("input:not([type=range], [type=checkbox], [type=radio]), textarea, select")
  );
}

/** Watch an element's size as long as a page is drawn. @param {Page} page @param {Element} element
 * @param {ResizeObserverCallback} resized */
export function observeSize(page, element, resized) {
  const observer = new ResizeObserver(resized);
  observer.observe(element);
  page.closed.addEventListener("abort", () => observer.disconnect());
}

/**
 * Show or hide the landmark that an element stands in.
 * @param {Element} element what a view returned @param {boolean} isVisible
 */
export function reveal(element, isVisible) {
  const landmark = element.parentElement;
  if (landmark?.hidden === isVisible) landmark.hidden = !isVisible;
}

/** A button. @param {() => void} press @param {Record<string, Attribute>} attributes @param {...Child} children */
export function button(press, attributes, ...children) {
  return el("button", {type: "button", ...attributes, onclick: press}, ...children);
}

/** A field in which a number is typed. @param {Record<string, Attribute>} attributes */
export function numberField(attributes) {
  return el("input", {type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", ...attributes});
}

/** A list to choose from. @param {Record<string, Attribute>} attributes @param {string[]} names by their places
 * @param {(place: number) => void} choose */
export function choiceList(attributes, names, choose) {
  const options = names.map((name, value) => el("option", {value}, name));
  const list = el("select", {...attributes, onchange: () => choose(Number(list.value))}, ...options);
  return list;
}

/** A button with words, and the key that presses it. @param {string} key @param {string} sign @param {() => void} press */
export function keyButton(key, sign, press) {
  const words = el("span");
  const signElement = el("kbd", {"aria-hidden": "true"}, sign);
  return {button: button(press, {"aria-keyshortcuts": key}, words, " ", signElement), words};
}
