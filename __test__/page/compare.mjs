/**
 * `node compare.mjs reference.png actual.png difference.png`: prints how many pixels differ.
 * A program of its own, because pixelmatch is an ES module, which jest does not load.
 */

import fs from 'node:fs';
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';

/** How far a color may be from the other, where black is 1 from white. Edges count: letters are made of little else. */
const options = { threshold: 0.05, includeAA: true };

const [reference, actual, difference] = process.argv.slice(2);
const [a, b] = [reference, actual].map((file) => PNG.sync.read(fs.readFileSync(file)));
if (a.width !== b.width || a.height !== b.height) {
  console.log(`${a.width}x${a.height} became ${b.width}x${b.height}`);
  fs.copyFileSync(actual, difference);
} else {
  const { width, height } = a;
  const diff = new PNG({ width, height });
  console.log(pixelmatch(a.data, b.data, diff.data, width, height, options));
  fs.writeFileSync(difference, PNG.sync.write(diff));
}
