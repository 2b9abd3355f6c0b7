'use strict';

/** A transfer that copies holds a few chunks of its file, however long that is. */

const fs = require('node:fs');
const { Writable } = require('node:stream');
const { transfer } = require('..');
const { collect, tmpPath } = require('./helpers');
const { patchedPair, tlsPair } = require('./kinds');
const { closeAll, keep } = require('./streams');

afterEach(closeAll);

const MiB = 1 << 20;
const SIZE = 96 * MiB;

/** All holes. */
const file = tmpPath('sparse');
fs.closeSync(fs.openSync(file, 'w'));
fs.truncateSync(file, SIZE);

const kinds = {
  'a Writable': () => ({
    near: keep(new Writable({ write: (_chunk, _encoding, done) => setImmediate(done) })),
  }),
  'a TLS socket': tlsPair,
  'a socket with a patched write': patchedPair,
};

/** Looks, at every eighth MiB that is written, what is still held of those before. */
function watch(near, look) {
  const { write } = near;
  let left = 8 * MiB;
  near.write = function (chunk, ...rest) {
    left -= chunk.length;
    if (left < 0) {
      left = 8 * MiB;
      collect();
      look(process.memoryUsage().arrayBuffers);
    }
    return write.call(this, chunk, ...rest);
  };
}

test.each(Object.keys(kinds))('to %s', async (kind) => {
  const { near, far } = await kinds[kind]();
  far?.resume();
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const held = [];
  watch(near, (bytes) => held.push(bytes - before));
  expect(await transfer(near, file)).toBe(SIZE);
  expect(held.length).toBeGreaterThan(8);
  // What is free is still counted until V8's own thread has seen to it.
  expect(Math.max(...held)).toBeLessThan(SIZE / 2);
});
