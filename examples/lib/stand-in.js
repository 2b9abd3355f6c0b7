'use strict';

const { randomFillSync } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

let directory;

/** A path in a directory of this process's own, which goes with it. */
function temporary(name) {
  if (!directory) {
    const made = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rs-sendfile-example-'));
    process.on('exit', () => fs.rmSync(made, { recursive: true, force: true }));
    directory = made;
  }
  return path.join(directory, name);
}

/** A file of so many random bytes, where an example needs one that nobody has given it. */
function standIn(name, size) {
  const file = temporary(name);
  const block = Buffer.alloc(1 << 20);
  const fd = fs.openSync(file, 'w');
  for (let left = size; left > 0; left -= block.length) {
    fs.writeSync(fd, randomFillSync(block), 0, Math.min(left, block.length));
  }
  fs.closeSync(fd);
  return file;
}

module.exports = { standIn, temporary };
