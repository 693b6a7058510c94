/** Reads texts as the page does: node reader.mjs ASSETS CASES, and for each its tokens and cell states as JSON. */
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const [, , assets, file] = process.argv;
const {createModel} = await import(pathToFileURL(`${assets}/engine/model.js`).href);
const {readingDocument} = await import(pathToFileURL(`${assets}/views/reader.js`).href);
const {doc, texts} = JSON.parse(readFileSync(file, "utf8"));

const readings = texts.map(text => {
  const reading = readingDocument(doc, text);
  const model = createModel(reading);
  const {hidden} = model.layers[0].cells[0];
  const units = Array.from({length: hidden}, (_, unit) => unit);
  const states = units.map(unit => [...model.series({layer: 0, direction: 0, name: "c", at: [unit]})]);
  return {tokens: reading.inputs.x, text: reading.reads.text, states};
});
process.stdout.write(JSON.stringify(readings));
