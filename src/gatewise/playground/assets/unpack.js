/** The document whole: what a page says of its program lies in it deflated, since it would be most of the page. */

/**
 * @param {any} doc as it lies in the page
 * @returns {Promise<any>} with everything in its place
 */
export async function unpacked(doc) {
  const {deflated, ...rest} = doc;
  if (typeof deflated !== "string") return doc;
  const bytes = Uint8Array.from(atob(deflated), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return {...rest, ...JSON.parse(await new Response(stream).text())};
}
