/** Numbers as people write them, each with half a unit of its last digit; docs/walking.md lists the spellings. */

const LONGEST_NUMERAL = 60;
const MINUS_SIGNS = /[−–—]/g;
const FULL_WIDTH = /[！-～]/g;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺";
const RAISED_EXPONENT = /10([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)/;
const TIMES_SIGNS = / ?[·⋅×∙*] ?(?=10)/g;
const NUMERAL = /^([+-]?) ?([0-9]*)([.,]?)([0-9]*)(?:(?:e|\*10(?:\^|\*\*))[({]?([+-]?[0-9]{1,3})[)}]?)?( ?%)?$/i;
const FRACTION = /^([+-]? ?[0-9]+) ?[/⁄] ?([0-9]+)$/;
const FRACTION_SIGN = /^[+-]? ?[¼-¾⅐-⅞]$/; // 1½ is no 11⁄2
const EXACT = 5e-13; // as precise as a fraction is
const IN_THOUSANDS = /^[1-9][0-9]{0,2},[0-9]{3}$/;

/** A text with the signs of a keyboard. @param {string} text */
function plainNumeral(text) {
  const plain = text
    .replace(FULL_WIDTH, sign => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
    .replace(
      RAISED_EXPONENT,
      (_, raised) => `10^${[...raised].map(sign => "0123456789-+"[RAISED.indexOf(sign)]).join("")}`,
    )
    .replace(MINUS_SIGNS, "-")
    .replace(/\s+/g, " ")
    .replace(TIMES_SIGNS, "*")
    .trim();
  return FRACTION_SIGN.test(plain) ? plain.normalize("NFKC") : plain;
}

/**
 * The number that a text is; null where it is none, "ambiguous" where a comma may mark decimals or thousands.
 * @param {string} text @returns {WrittenNumeral | "ambiguous" | null}
 */
export function writtenNumber(text) {
  if (text.length > LONGEST_NUMERAL) return null;
  const plain = plainNumeral(text);
  const fraction = FRACTION.exec(plain);
  const quotient = fraction && Number(fraction[1].replace(" ", "")) / Number(fraction[2]);
  if (quotient !== null) return Number.isFinite(quotient) ? {value: quotient, tolerance: EXACT, text: plain} : null;
  const match = NUMERAL.exec(plain);
  if (!match || !(match[2] || match[4])) return null;
  const [, sign, integer, mark, part, exponent, percent] = match;
  if (mark === "," && IN_THOUSANDS.test(`${integer},${part}`)) return "ambiguous";
  const shift = Number(exponent ?? 0) - (percent ? 2 : 0);
  const value = Number(`${sign}${integer || "0"}.${part || "0"}e${shift}`);
  if (!Number.isFinite(value)) return null;
  const last = shift - part.length;
  return {value, tolerance: 0.5 * 10 ** (value === 0 ? Math.min(last, 0) : last), text: plain};
}
