'use strict';

/** What the call promises on every system that has one, of sockets: the kernel's own quirks must not be seen. */

const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const { sendfile, sendfileSync, support, transfer, waitWritable } = require('../..');
const { rawPair, readAll, socketPair, takeAll, takeNow, tmpFile } = require('../helpers');
const { assert, assertBytes, failure, run, sample, test } = require('../runtimes/harness');

const SIZE = 12 << 20;
const file = sample(SIZE);
const forms = {
  sendfileSync: async (...args) => sendfileSync(...args),
  sendfile: (...args) => sendfile(...args),
};

test('there is a sendfile', () => {
  assert.strictEqual(support.available, true, support.reason);
  console.log(`# ${support.platform}: ${support.syscall}`);
});

for (const [name, call] of Object.entries(forms)) {
  test(`${name} of a range, with headers and trailers`, async () => {
    const { near, far, out, peer } = await rawPair();
    const input = fs.openSync(file.path);
    const sent = await call(out, input, 10, 30_000, ['he', Buffer.from('ad')], 'tail');
    assert.strictEqual(sent, 30_008);
    near.end();
    const expected = [Buffer.from('head'), file.bytes.subarray(10, 30_010), Buffer.from('tail')];
    assertBytes(await takeAll(peer), Buffer.concat(expected));
    far.destroy();
    fs.closeSync(input);
  });

  test(`${name} of an empty file: headers and trailers all the same`, async () => {
    const { near, far, out, peer } = await rawPair();
    const input = fs.openSync(tmpFile(''));
    assert.strictEqual(await call(out, input, 0, null, 'head', 'tail'), 8);
    near.end();
    assertBytes(await takeAll(peer), Buffer.from('headtail'));
    far.destroy();
    fs.closeSync(input);
  });

  test(`${name} at and past the end of the file is 0 bytes`, async () => {
    const { near, far, out } = await rawPair();
    const input = fs.openSync(file.path);
    for (const offset of [SIZE, SIZE + 1, SIZE * 4]) {
      assert.strictEqual(await call(out, input, offset, 10), 0);
    }
    assert.strictEqual(await call(out, input, 5, 0), 0);
    assert.strictEqual(await call(out, input, SIZE - 3, 100), 3);
    near.destroy();
    far.destroy();
    fs.closeSync(input);
  });

  test(`${name} from the file's own position, which moves on`, async () => {
    const { near, far, out, peer } = await rawPair();
    const input = fs.openSync(file.path);
    assert.strictEqual(await call(out, input, null, 1000), 1000);
    assert.strictEqual(await call(out, input, 5000, 10), 10);
    assert.strictEqual(await call(out, input, null, 1000), 1000);
    near.end();
    const { bytes } = file;
    assertBytes(
      await takeAll(peer),
      Buffer.concat([bytes.subarray(0, 1000), bytes.subarray(5000, 5010), bytes.subarray(1000, 2000)]),
    );
    far.destroy();
    fs.closeSync(input);
  });

  test(`${name} until the socket is full, which is EAGAIN, and on: no byte is lost or sent twice`, async () => {
    const { near, far, out, peer } = await rawPair();
    const input = fs.openSync(file.path);
    const chunks = [];
    let sent = 0;
    let full = 0;
    while (sent < SIZE) {
      const result = await call(out, input, sent, null).catch((error) => error);
      if (typeof result === 'number') {
        sent += result;
        continue;
      }
      assert.deepStrictEqual([result.code, result.errno], ['EAGAIN', -os.constants.errno.EAGAIN]);
      full += 1;
      for (let chunk = takeNow(peer); chunk !== null; chunk = takeNow(peer)) chunks.push(chunk);
      await waitWritable(out, { timeout: 10_000 });
    }
    assert.strictEqual(sent, SIZE);
    assert.ok(full > 0);
    near.end();
    chunks.push(await takeAll(peer));
    assertBytes(Buffer.concat(chunks), file.bytes);
    far.destroy();
    fs.closeSync(input);
  });

  test(`${name} refuses what it must`, async () => {
    const { near, far, out } = await rawPair();
    const input = fs.openSync(file.path);
    assert.strictEqual((await failure(call(987_654, input, 0, 1))).code, 'EBADF');
    assert.strictEqual((await failure(call(out, 987_654, 0, 1))).code, 'EBADF');
    assert.strictEqual((await failure(call(out, input, -1, 1))).code, 'EINVAL');
    near.destroy();
    far.destroy();
    fs.closeSync(input);
  });

  test(`${name} to a peer that has gone is an error, not the end of the process`, async () => {
    const { near, far, out } = await rawPair();
    const input = fs.openSync(file.path);
    far.resetAndDestroy();
    await once(far, 'close');
    let error;
    for (let tries = 0; tries < 1000 && !error; tries++) {
      error = await call(out, input, 0, 1000).then(
        () => undefined,
        (reason) => reason,
      );
      await new Promise(setImmediate);
    }
    assert.ok(['EPIPE', 'ECONNRESET', 'ENOTCONN'].includes(error?.code), String(error));
    near.destroy();
    fs.closeSync(input);
  });
}

test("a transfer by method 'sendfile' is whole, and in its place", async () => {
  const { near, far } = await socketPair();
  const received = readAll(far);
  near.write('before');
  const sent = await transfer(near, file.path, { method: 'sendfile' });
  near.end('after');
  assert.strictEqual(sent, SIZE);
  assertBytes(await received, Buffer.concat([Buffer.from('before'), file.bytes, Buffer.from('after')]));
});

run();
