'use strict';

/**
 * `socket.bytesWritten` beside transfers: others' chunks count as Node counts them, once they are given to the socket's
 * queue; a file's bytes count as they leave. It never goes back.
 */

const { once } = require('node:events');
const { transfer } = require('..');
const { pattern } = require('./helpers');
const { closeAll, openFile, pair } = require('./streams');

afterEach(closeAll);

/** In the socket's queue, behind a write that fills the socket. */
const mixes = {
  'a transfer behind a large write': (near) => {
    near.write(Buffer.alloc(1_000_000));
    return [transfer(near, openFile(pattern(2_000_000)))];
  },
  'writes around two transfers': (near) => {
    near.write(Buffer.alloc(500_000));
    const first = transfer(near, openFile(pattern(700_000)), { headers: 'abc' });
    near.write(Buffer.alloc(60_000));
    near.write(Buffer.alloc(300_000));
    const second = transfer(near, openFile(pattern(600_000)), { trailers: 'de' });
    near.write(Buffer.alloc(60_000));
    near.write('e'.repeat(200_000));
    return [first, second];
  },
  'all of it corked': (near) => {
    near.cork();
    near.write(Buffer.alloc(30_000));
    const sending = transfer(near, openFile(pattern(900_000)));
    near.write(Buffer.alloc(200_000));
    near.write(Buffer.alloc(10_000));
    near.uncork();
    return [sending];
  },
};
const totals = [3_000_000, 2_420_005, 1_140_000];

test.each(Object.keys(mixes).map((name, index) => [name, totals[index]]))('%s', async (name, total) => {
  const { near, far } = await pair({ unix: true });
  const seen = [near.bytesWritten];
  const look = () => seen.push(near.bytesWritten);
  const sending = mixes[name](near);
  look();
  far.on('data', look).resume();
  near.on('drain', look);
  for (const each of sending) each.then(look);
  await Promise.all(sending);
  near.end();
  await once(near, 'finish');
  look();
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(total);
  // Not all of it was told at once.
  expect(new Set(seen).size).toBeGreaterThan(4);
});
