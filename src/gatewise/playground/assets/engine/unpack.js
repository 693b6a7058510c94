/** The document whole: what a page says of its program lies in it deflated, since it would be most of the page. */

const DIGITS_OF_85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

/** Bytes from base 85: five digits are four of them. @param {string} text */
function bytesOf85(text) {
  const bytes = new Uint8Array(Math.ceil(text.length / 5) * 4),
    view = new DataView(bytes.buffer);
  for (let n = 0; n < text.length; n += 5) {
    const digits = [...text.slice(n, n + 5).padEnd(5, "~")];
    view.setUint32(
      (n / 5) * 4,
      digits.reduce((sum, digit) => 85 * sum + DIGITS_OF_85.indexOf(digit), 0),
    );
  }
  return bytes.subarray(0, Math.floor((text.length * 4) / 5));
}

/** A document as it lies in the page, with its deflated part in place. @param {PageDocument & {deflated?: string}} doc
 * @returns {Promise<PageDocument>} */
export async function unpacked(doc) {
  const {deflated, ...rest} = doc;
  if (typeof deflated !== "string") return doc;
  const stream = new Blob([bytesOf85(deflated)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return {...rest, ...JSON.parse(await new Response(stream).text())};
}
