/** Values as colours. The palette stands in the style sheet, which Python filled; here it is only read. */
import {memoised} from "../engine/memo.js";

const TABLE = 256;
const MOST_DECADES = 12; // of a logarithmic scale

/** Red, green and blue of "#rrggbb". @param {string} hex */
function channels(hex) {
  const value = Number.parseInt(hex.trim().slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/**
 * A palette of the style sheet as a table of 256 × 3 bytes, between its stops as far as between two of them.
 * @param {string} property @returns {Uint8ClampedArray}
 */
function colourTable(property) {
  const stops = getComputedStyle(document.documentElement).getPropertyValue(property).split(",").map(channels);
  const table = new Uint8ClampedArray(3 * TABLE);
  for (let place = 0; place < TABLE; place += 1) {
    const along = (place / (TABLE - 1)) * (stops.length - 1);
    const before = Math.min(Math.floor(along), stops.length - 2);
    for (let k = 0; k < 3; k += 1) {
      table[3 * place + k] = stops[before][k] + (along - before) * (stops[before + 1][k] - stops[before][k]);
    }
  }
  return table;
}

/** @param {Scale} scale */
export function tableOf(scale) {
  const property = scale.name === "amount" ? "--cividis" : "--vik";
  return memoised(document, property, [], () => colourTable(property));
}

/** The powers of ten of a logarithmic scale that shows numbers of these sizes. @param {number} largest
 * @param {number} least */
export function decadesFor(largest, least) {
  return Math.min(MOST_DECADES, Math.max(2, Math.ceil(Math.log10(largest / least))));
}

/** The place of a value on a logarithmic scale from -1 to 1. @param {number} value @param {number} largest
 * @param {number} decades */
export function onDecades(value, largest, decades) {
  return value === 0 ? 0 : Math.sign(value) * Math.max(0, 1 + Math.log10(Math.abs(value) / largest) / decades);
}

/** @param {Scale} scale @param {number} value */
function linearShare({low, high}, value) {
  return high > low ? (value - low) / (high - low) : 0.5;
}

/** The place of a value in its table; -1 for NaN. @param {Scale} scale @param {number} value */
export function tablePlace(scale, value) {
  if (Number.isNaN(value)) return -1;
  const share = scale.decades ? (1 + onDecades(value, scale.high, scale.decades)) / 2 : linearShare(scale, value);
  return Math.round(Math.min(1, Math.max(0, share)) * (TABLE - 1));
}

/**
 * The colour of a value, and the ink on it: black or white, whichever stands out more.
 * @param {Scale} scale @param {number} value @returns {{fill: string, ink: "black" | "white"} | null}
 */
export function colourOf(scale, value) {
  const place = tablePlace(scale, value);
  if (place < 0) return null;
  const [red, green, blue] = tableOf(scale).subarray(3 * place, 3 * place + 3);
  const [r, g, b] = [red, green, blue].map(channel => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return {fill: `rgb(${red} ${green} ${blue})`, ink: (light + 0.05) ** 2 > 1.05 * 0.05 ? "black" : "white"};
}
