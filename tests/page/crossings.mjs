/** The places where a text of the stage overlaps another text, an arrow, a line or a valve, or leaves the picture. */

const MARKS = [
  ".feed .line",
  ".feed .head",
  ".valve .frame",
  ".valve .grip",
  ".arrow",
  ".level .edge",
  ".node",
  ".pipe .bore",
];
const SPARE = 0.18; // of the height of a line, which no letter fills
const HALF = 0.75; // of the breadth of a line
const PIPE = 13; // half the breadth of a pipe

/** @param {Element} element */
const boxOf = element =>
  (({left, top, right, bottom}) => ({left, top, right, bottom}))(element.getBoundingClientRect());

const overlap = (one, other) =>
  Math.min(one.right, other.right) > Math.max(one.left, other.left) &&
  Math.min(one.bottom, other.bottom) > Math.max(one.top, other.top);

/** The boxes of the lines of a text. @param {Element} text */
function wordsOf(text) {
  const parts = [...text.querySelectorAll("tspan")];
  return (parts.length ? parts : [text]).flatMap(part => {
    if (!part.textContent.trim()) return [];
    const {top, bottom, ...box} = boxOf(part);
    const spare = (bottom - top) * SPARE;
    return [{text, words: part.textContent, ...box, top: top + spare, bottom: bottom - spare}];
  });
}

/** The boxes of a mark: of a line or a pipe, one for each of its parts. @param {Element} mark @param {DOMMatrix} matrix */
function boxesOf(mark, matrix) {
  if (!mark.matches(".line, .bore")) return [boxOf(mark)];
  const half = mark.matches(".line") ? HALF : PIPE * matrix.a;
  let [x, y] = [0, 0];
  return [...mark.getAttribute("d").matchAll(/([MHV])([\d.]+)(?: ([\d.]+))?/g)].flatMap(([, kind, first, second]) => {
    const [fromX, fromY] = [x, y];
    if (kind !== "V") x = Number(first);
    if (kind !== "H") y = Number(kind === "M" ? second : first);
    if (kind === "M") return [];
    const left = matrix.e + matrix.a * Math.min(fromX, x) - half;
    const top = matrix.f + matrix.d * Math.min(fromY, y) - half;
    const right = matrix.e + matrix.a * Math.max(fromX, x) + half;
    return [{left, top, right, bottom: matrix.f + matrix.d * Math.max(fromY, y) + half}];
  });
}

/** @param {string} longest what stands for every number of a caption; "": the numbers as they are */
export function crossings(longest) {
  const picture = document.querySelector("#stage svg");
  for (const value of longest ? picture.querySelectorAll(".value") : []) {
    if (/\d/.test(value.textContent)) value.textContent = longest;
  }
  const words = [...picture.querySelectorAll("text")].flatMap(wordsOf);
  const marks = [...picture.querySelectorAll(MARKS.join())].flatMap(mark =>
    boxesOf(mark, picture.getScreenCTM()).map(box => ({...box, mark})),
  );
  const all = boxOf(picture.parentNode);
  return words.flatMap((one, n) => {
    const texts = words.slice(n + 1).filter(other => other.text !== one.text && overlap(one, other));
    const isInCircle = one.text.matches(".function");
    const isCrossed = ({mark}) => one.text.matches(".tick") || !mark.matches(".bore"); // pipes are as wide as they may be
    const crossed = isInCircle ? [] : marks.filter(mark => overlap(one, mark) && isCrossed(mark));
    const leaves = one.left < all.left - 2 || one.right > all.right + 2;
    return [
      ...texts.map(other => `${one.words} over ${other.words}`),
      ...crossed.map(({mark}) => `${one.words} over ${mark.getAttribute("class")} ${mark.getAttribute("d") ?? ""}`),
      ...(leaves ? [`${one.words} leaves`] : []),
    ];
  });
}
