'use strict';

/** Whole transfers: what JavaScript and the native side tell each other in numbers, past 4 GiB too. */

const fs = require('node:fs');
const { transfer } = require('rs-sendfile');
const { pattern, readAll, readBytes, socketPair, tmpFile, tmpPath } = require('../helpers');
const { assert, assertBytes, failure, lastWay, run, test, told } = require('../runtimes/harness');

const GiB = 1024 ** 3;
const content = pattern(3 << 20, 4);
const file = tmpFile(content);

async function pair() {
  const sockets = await socketPair();
  sockets.near.on('error', () => {});
  sockets.far.on('error', () => {});
  return sockets;
}

/** The kernel sent it, and every byte was counted. */
function assertSent(bytes) {
  const { method, reason, bytes: counted, code } = told[told.length - 1];
  assert.deepStrictEqual(
    { method, reason, counted, code },
    { method: 'sendfile', reason: undefined, counted: bytes, code: undefined },
  );
}

test('a path, an fd and a FileHandle go by the kernel', async () => {
  const handle = await fs.promises.open(file);
  const fd = fs.openSync(file);
  for (const source of [file, fd, handle]) {
    const { near, far } = await pair();
    const received = readAll(far);
    assert.strictEqual(await transfer(near, source), content.length);
    assertSent(content.length);
    near.end();
    assertBytes(await received, content);
  }
  fs.closeSync(fd);
  await handle.close();
});

test('ranges on both sides of 4 GiB, by number and by bigint, with headers and trailers', async () => {
  const place = 4 * GiB - content.length / 2;
  const huge = tmpPath();
  const fd = fs.openSync(huge, 'w');
  fs.writeSync(fd, content, 0, content.length, place);
  fs.closeSync(fd);
  for (const offset of [place, BigInt(place)]) {
    const { near, far } = await pair();
    const received = readAll(far);
    near.write('before');
    const sent = await transfer(near, huge, { offset, headers: 'head', trailers: ['ta', 'il'] });
    assert.strictEqual(sent, content.length + 8);
    assert.strictEqual(lastWay(), 'sendfile');
    near.end('after');
    const around = ['beforehead', 'tailafter'].map((text) => Buffer.from(text));
    assertBytes(await received, Buffer.concat([around[0], content, around[1]]));
  }
});

test('a small file is read and written at once, or sent: either way it is whole', async () => {
  const small = tmpFile(content.subarray(0, 5000));
  const { near, far } = await pair();
  const received = readAll(far);
  assert.strictEqual(await transfer(near, small), 5000);
  assert.ok(['sendfile', 'copy: preferred'].includes(lastWay()), lastWay());
  near.end();
  assertBytes(await received, content.subarray(0, 5000));
});

test('the same bytes by the native copy', async () => {
  const { near, far } = await pair();
  const received = readAll(far);
  assert.strictEqual(await transfer(near, file, { method: 'copy' }), content.length);
  near.end();
  assertBytes(await received, content);
});

const huge = tmpPath();
fs.writeFileSync(huge, '');
fs.truncateSync(huge, 6 * GiB);

test('an abort of a transfer of 6 GiB counts what has left', async () => {
  const { near, far } = await pair();
  const control = new AbortController();
  const sending = failure(transfer(near, huge, { signal: control.signal }));
  await readBytes(far, 200_000);
  control.abort();
  const error = await sending;
  assert.strictEqual(error.code, 'ABORT_ERR');
  assert.ok(error.bytesSent >= 200_000 && error.bytesSent < 6 * GiB, `${error.bytesSent}`);
  far.destroy();
});

test('a timeout when nobody reads', async () => {
  const { near, far } = await pair();
  const error = await failure(transfer(near, huge, { timeout: 2000 }));
  assert.strictEqual(error.code, 'ERR_SENDFILE_TIMEOUT');
  assert.ok(error.bytesSent > 0);
  far.destroy();
});

test('a peer that leaves', async () => {
  const { near, far } = await pair();
  const sending = failure(transfer(near, huge));
  await readBytes(far, 1000);
  far.resetAndDestroy();
  assert.strictEqual((await sending).code, 'ERR_STREAM_PREMATURE_CLOSE');
});

test('a file that is cut while it is sent is ERR_SENDFILE_TRUNCATED', async () => {
  const shrinking = tmpPath();
  fs.writeFileSync(shrinking, '');
  fs.truncateSync(shrinking, 5 * GiB);
  const { near, far } = await pair();
  const sending = failure(transfer(near, shrinking));
  await readBytes(far, 100_000);
  fs.truncateSync(shrinking, 50_000);
  far.resume();
  const error = await sending;
  assert.strictEqual(error.code, 'ERR_SENDFILE_TRUNCATED');
  assert.ok(error.bytesSent >= 100_000 && error.bytesSent < 5 * GiB, `${error.bytesSent}`);
});

test('a path that is not there leaves the socket usable', async () => {
  const { near, far } = await pair();
  const error = await failure(transfer(near, '/no/such/file'));
  assert.deepStrictEqual([error.code, error.syscall, error.bytesSent], ['ENOENT', 'open', 0]);
  near.end('usable');
  assert.strictEqual((await readAll(far)).toString(), 'usable');
});

run();
