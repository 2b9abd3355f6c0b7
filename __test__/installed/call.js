'use strict';

/** The call, where the width of a number or the order of its bytes could be wrong. */

const fs = require('node:fs');
const { sendfile, sendfileSync } = require('rs-sendfile');
const { pattern, rawPair, takeAll, takeNow, tmpFile, tmpPath } = require('../helpers');
const { assert, assertBytes, run, test } = require('../runtimes/harness');

const KiB = 1024;
const GiB = KiB ** 3;
/** What Linux moves at most by one call, on each architecture with pages of 4 KiB. */
const MOST = 0x7fff_f000;
const PIECE = pattern(32 * KiB, 5);

/** A file of this size with these bytes at one place, and nothing else on the disk. */
function sparse(size, bytes, place) {
  const file = tmpPath();
  const fd = fs.openSync(file, 'w+');
  fs.ftruncateSync(fd, size);
  if (bytes) fs.writeSync(fd, bytes, 0, bytes.length, place);
  return fd;
}

const forms = {
  sendfileSync: async (...args) => sendfileSync(...args),
  sendfile: (...args) => sendfile(...args),
};

for (const [name, call] of Object.entries(forms)) {
  for (const [where, middle] of [
    ['2 GiB', 2 * GiB],
    ['4 GiB', 4 * GiB],
    ['12 GiB', 12 * GiB],
    ['8 TiB', 8192 * GiB],
  ]) {
    test(`${name}: the bytes around ${where} are those of the file, by number and by bigint`, async () => {
      const from = middle - 16 * KiB;
      const input = sparse(middle + 20 * KiB, PIECE, from);
      const { out, near, peer } = await rawPair({ unix: true });
      assert.strictEqual(await call(out, input, from, 10 * KiB), 10 * KiB);
      assert.strictEqual(await call(out, input, BigInt(from + 10 * KiB), 12n * 1024n), 12 * KiB);
      assert.strictEqual(await call(out, input, from + 22 * KiB, null), 14 * KiB);
      near.end();
      assertBytes(await takeAll(peer), Buffer.concat([PIECE, Buffer.alloc(4 * KiB)]));
      fs.closeSync(input);
    });
  }

  test(`${name}: a full socket is a partial count, then EAGAIN, and every byte is counted`, async () => {
    const content = pattern(2_000_000, 3);
    const input = fs.openSync(tmpFile(content));
    const { out, near, far, peer } = await rawPair({ unix: true });
    const chunks = [];
    let place = 0;
    let refusals = 0;
    while (place < content.length) {
      try {
        const count = await call(out, input, place, null);
        assert.ok(count > 0 && count <= content.length - place);
        place += count;
      } catch (error) {
        assert.strictEqual(error.code, 'EAGAIN');
        refusals += 1;
        chunks.push(takeNow(peer));
      }
    }
    near.end();
    chunks.push(await takeAll(peer));
    assert.ok(refusals > 1);
    assertBytes(Buffer.concat(chunks), content);
    far.destroy();
    fs.closeSync(input);
  });
}

test('a length past 4 GiB is cut to what the kernel moves; trailers wait until all of the file is out', () => {
  const input = sparse(6 * GiB);
  const out = fs.openSync('/dev/null', 'w');
  assert.strictEqual(sendfileSync(out, input, 1, 2 ** 32 + 1, 'head', 'tail'), 4 + MOST);
  assert.strictEqual(sendfileSync(out, input, 6 * GiB - 10, 2n ** 40n, null, 'tail'), 14);
  fs.closeSync(input);
  fs.closeSync(out);
});

test('the position of a file past 4 GiB moves on', async () => {
  const file = tmpPath();
  // Appending puts it there.
  const input = fs.openSync(file, 'a+');
  fs.ftruncateSync(input, 5 * GiB);
  fs.writeSync(input, 'appended');
  fs.appendFileSync(file, PIECE);
  const { out, near, peer } = await rawPair({ unix: true });
  assert.strictEqual(sendfileSync(out, input, null, 10 * KiB), 10 * KiB);
  assert.strictEqual(sendfileSync(out, input, null, null), 22 * KiB);
  assert.strictEqual(sendfileSync(out, input, null, null), 0);
  near.end();
  assertBytes(await takeAll(peer), PIECE);
  fs.closeSync(input);
});

run();
