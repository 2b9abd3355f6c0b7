'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { sendfile, sendfileSync, waitWritable } = require('../..');
const { listen, openFifo, readAll, tmpPath } = require('../helpers');
const { assert, assertBytes, failure, run, runtime, sample, test } = require('./harness');

const SIZE = 50_000;
const file = sample(SIZE);
const forms = {
  sendfileSync: async (...args) => sendfileSync(...args),
  sendfile: (...args) => sendfile(...args),
};

for (const [name, call] of Object.entries(forms)) {
  test(`${name} to a file, with headers and trailers`, async () => {
    const input = fs.openSync(file.path);
    const path = tmpPath();
    const out = fs.openSync(path, 'w');
    assert.strictEqual(await call(out, input, 10, 30_000, 'head', ['ta', Buffer.from('il')]), 30_008);
    fs.closeSync(out);
    fs.closeSync(input);
    assertBytes(
      fs.readFileSync(path),
      Buffer.concat([Buffer.from('head'), file.bytes.subarray(10, 30_010), Buffer.from('tail')]),
    );
  });

  test(`${name} to a pipe, until it is full, and on`, async () => {
    const { fd } = openFifo();
    const input = fs.openSync(file.path);
    let sent = 0;
    for (;;) {
      const error = await call(fd, input, 0, null).then(
        (count) => {
          sent += count;
        },
        (reason) => reason,
      );
      if (!error) continue;
      assert.deepStrictEqual([error.code, error.errno, error.syscall], ['EAGAIN', -11, 'sendfile']);
      break;
    }
    assert.ok(sent >= SIZE);
    assert.strictEqual((await failure(waitWritable(fd, { timeout: 100 }))).code, 'ERR_SENDFILE_TIMEOUT');
    const waiting = waitWritable(fd, { timeout: 10_000 });
    const buffer = Buffer.alloc(SIZE);
    assert.strictEqual(fs.readSync(fd, buffer, 0, SIZE, null), SIZE);
    assertBytes(buffer, file.bytes);
    await waiting;
    fs.closeSync(input);
    fs.closeSync(fd);
  });

  test(`${name} from a position that moves, and nothing past the end`, async () => {
    const input = fs.openSync(file.path);
    const out = fs.openSync('/dev/null', 'w');
    assert.strictEqual(await call(out, input, null, 20_000), 20_000);
    assert.strictEqual(await call(out, input, null, null), SIZE - 20_000);
    assert.strictEqual(await call(out, input, null, null), 0);
    fs.closeSync(input);
    fs.closeSync(out);
  });

  test(`${name} refuses what it must`, async () => {
    const input = fs.openSync(file.path);
    assert.strictEqual((await failure(call(987_654, input, 0, 1))).code, 'EBADF');
    assert.strictEqual((await failure(call(input, input, 0, 1))).code, 'EBADF');
    assert.strictEqual((await failure(call(1, input, -1, 1))).code, 'EINVAL');
    assert.strictEqual((await failure(call(1, input, '0', 1))).code, 'ERR_INVALID_ARG_TYPE');
    assert.strictEqual((await failure(call(1, input, 0.5, 1))).code, 'ERR_OUT_OF_RANGE');
    fs.closeSync(input);
  });
}

test('a FileHandle, closed at once', async () => {
  const handle = await fs.promises.open(file.path);
  const path = tmpPath();
  const out = fs.openSync(path, 'w');
  const sending = sendfile(out, handle, 0, null);
  fs.closeSync(out);
  await handle.close();
  assert.strictEqual(await sending, SIZE);
  assertBytes(fs.readFileSync(path), file.bytes);
});

test('a socket, where its fd can be had', async () => {
  const server = net.createServer();
  const port = await listen(server);
  const far = net.connect(port, '127.0.0.1');
  const [near] = await once(server, 'connection');
  const out = near._handle?.fd;
  assert.strictEqual(out >= 0, runtime !== 'deno');
  const input = fs.openSync(file.path);
  let sent = 0;
  if (out >= 0) {
    sent += sendfileSync(out, input, 0, 1000, 'head');
    sent += await sendfile(out, input, 1000, SIZE - 1000);
  }
  fs.closeSync(input);
  near.end();
  const received = await readAll(far);
  assert.strictEqual(received.length, sent);
  if (out >= 0) assertBytes(received, Buffer.concat([Buffer.from('head'), file.bytes]));
  server.close();
});

run();
