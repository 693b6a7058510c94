/** What the page reads in files of models. Run as `node own_cell.mjs FOLDER FIXTURE`: the fixture holds their paths. */
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {pathToFileURL} from "node:url";

const [, , folder, fixture] = process.argv;
const {cellOfFile} = await import(pathToFileURL(join(folder, "engine/own_cell.js")).href);
const read = path => {
  const bytes = readFileSync(path);
  return cellOfFile(path, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
console.log(JSON.stringify(JSON.parse(readFileSync(fixture, "utf8")).map(read)));
