/** How the page reads the numbers that people type, as answers and as given numbers; reads spellings, writes numbers. */
import {readFileSync} from "node:fs";

const [folder, file] = process.argv.slice(2);
const {writtenNumber} = await import(`${folder}/judge/numerals.js`);
const {readNumber} = await import(`${folder}/views/edits.js`);

/** @param {string} text */
function answered(text) {
  const written = writtenNumber(text);
  return written === null || written === "ambiguous" ? null : written.value;
}

const texts = JSON.parse(readFileSync(file, "utf8"));
process.stdout.write(JSON.stringify(texts.map(text => [answered(text), readNumber(text)])));
