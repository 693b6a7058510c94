/** Numbers as text, exactly as gatewise's walkthroughs write them. */

const GLUE = "\u00a0";

/**
 * Digits of a number rounded to so many decimals, a tie to the even digit; toFixed alone takes ties up.
 * @param {number} size not negative @param {number} decimals @returns {string}
 */
function fixed(size, decimals) {
  if (size >= 1e21) return BigInt(size).toString() + (decimals ? `.${"0".repeat(decimals)}` : "");
  const up = size.toFixed(decimals);
  const halves = size * 2 ** (decimals + 1); // exact: a tie has so few binary digits
  if (!Number.isInteger(halves) || !size.toFixed(decimals + 1).endsWith("5")) return up;
  return Number(up[up.length - 1]) % 2 ? size.toFixed(decimals + 1).slice(0, decimals ? -1 : -2) : up;
}

/** Text of a number without the zeros at its end. @param {string} text */
function trimmed(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/**
 * The digits of a number, and its exponent: those that tell it from its neighbours, at most so many behind the point.
 * @param {number} size positive @param {number} decimals
 */
function scientific(size, decimals) {
  const shortest = size.toExponential();
  const digits = shortest.slice(0, shortest.indexOf("e")).replace(".", "");
  let text = digits.length <= decimals + 1 ? shortest : size.toExponential(decimals);
  if (digits.length === decimals + 2 && digits.endsWith("5") && isExactly(size, shortest)) {
    const below = `${digits[0]}.${digits.slice(1, -1)}e${shortest.slice(shortest.indexOf("e") + 1)}`;
    if (Number(digits[digits.length - 2]) % 2 === 0) text = below;
  }
  const [mantissa, exponent] = text.split("e");
  const power = exponent.slice(1).padStart(2, "0");
  const short = trimmed(mantissa);
  const cut = short.length === 1 && digits.length > decimals + 1 && Number(digits.slice(1, decimals + 1)) === 0;
  return `${short}${cut ? "." : ""}e${exponent[0]}${power}`; // NumPy leaves the point of what it cuts to zeros
}

/** Whether a number is all that its shortest text says. @param {number} size @param {string} text */
function isExactly(size, text) {
  if (size < 1) return false; // such a number has more digits than are asked for
  const [mantissa, exponent] = text.split("e");
  const behind = (mantissa.split(".")[1] ?? "").length;
  const scale = size < 2 ** 52 ? 1024 : 1;
  if (!Number.isInteger(size * scale)) return false;
  const power = Number(exponent) - behind;
  const digits = BigInt(mantissa.replace(".", "")) * BigInt(scale);
  const scaled = BigInt(size * scale);
  return power < 0 ? digits === scaled * 10n ** BigInt(-power) : digits * 10n ** BigInt(power) === scaled;
}

/**
 * A number with up to so many decimals; very small and very large ones in scientific notation.
 * @param {number} value @param {number} [digits] @returns {string}
 */
export function figure(value, digits = 4) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const small = Number(`1e-${Math.floor(digits / 2) + 1}`);
  const text = small <= size && size < 1e7 ? trimmed(fixed(size, digits)) : scientific(size, digits);
  return value < 0 ? `-${text}` : text;
}

/** A number in little room. @param {number} value */
export function compact(value) {
  const text = figure(value, 4);
  return text.length > 8 ? figure(value, 2) : text;
}

/**
 * A share as a percentage: one decimal, more only where it would read as nothing or everything.
 * @param {number} value @param {{less?: string, more?: string}} [words] @returns {string}
 */
export function percent(value, {less = "less than", more = "more than"} = {}) {
  const share = 100 * value;
  if (share > 0 && share < 1e-4) return `${less} 0.0001${GLUE}%`;
  if (share > 100 - 1e-4 && share < 100) return `${more} 99.9999${GLUE}%`;
  if (share === 0) return `${Object.is(share, -0) ? "-" : ""}0${GLUE}%`;
  if (share === 100) return `100${GLUE}%`;
  if (Number.isNaN(share)) return `nan${GLUE}%`;
  if (!Number.isFinite(share)) return `${share < 0 ? "-" : ""}inf${GLUE}%`;
  let text = "";
  for (let digits = 1; digits <= 6; digits += 1) {
    text = (share < 0 ? "-" : "") + fixed(Math.abs(share), digits);
    if (Number(text) > 0 && Number(text) < 100) break;
  }
  return `${text}${GLUE}%`;
}

/** A number as Python writes it: the shortest text that gives it back. @param {number} value @returns {string} */
export function shortest(value) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const size = Math.abs(value);
  const [mantissa, exponent] = size.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    return `${sign}${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  const digits = mantissa.replace(".", "");
  if (power < 0) return `${sign}0.${"0".repeat(-power - 1)}${digits}`;
  return `${sign}${digits.slice(0, power + 1).padEnd(power + 1, "0")}.${digits.slice(power + 1) || "0"}`;
}
