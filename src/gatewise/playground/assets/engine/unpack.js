/** The document whole: what a page says of its program lies in it deflated, since it would be most of the page. */
import {bytesOf} from "./arrays.js";

/** A document as it lies in the page, with its deflated part in place. @param {PageDocument & {deflated?: string}} doc
 * @returns {Promise<PageDocument>} */
export async function unpacked(doc) {
  const {deflated, ...rest} = doc;
  if (typeof deflated !== "string") return doc;
  const stream = new Blob([bytesOf(deflated)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return {...rest, ...JSON.parse(await new Response(stream).text())};
}
