'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { transfer } = require('../..');
const { readAll, readBytes, socketPair, tmpFile } = require('../helpers');
const { assert, assertBytes, failure, lastWay, run, runtime, sample, test } = require('./harness');

const SIZE = 4 << 20;
const file = sample(SIZE);
const small = sample(20_000, 9);
const way = { node: 'sendfile', bun: 'sendfile', deno: 'copy: no fd' }[runtime];
const copies = way !== 'sendfile';

async function pair() {
  const sockets = await socketPair();
  sockets.near.on('error', () => {});
  sockets.far.on('error', () => {});
  return sockets;
}

test('a whole file by its path, and the way it takes', async () => {
  const { near, far } = await pair();
  const received = readAll(far);
  assert.strictEqual(await transfer(near, file.path), SIZE);
  assert.strictEqual(lastWay(), way);
  near.end();
  assertBytes(await received, file.bytes);
});

for (const { path, bytes } of [file, small]) {
  test(`an fd that is closed at once, in order with writes around it, ${bytes.length} bytes`, async () => {
    const { near, far } = await pair();
    const received = readAll(far);
    const fd = fs.openSync(path);
    near.write('before');
    const first = transfer(near, fd, { headers: 'head', trailers: ['tail', Buffer.from('!')] });
    // What is copied in JS is not in the stream's queue: later writes have to wait for it.
    if (copies) await first;
    near.write('between');
    const second = transfer(near, fd, { offset: 100, length: 1000 });
    fs.closeSync(fd);
    if (copies) await second;
    near.end('after');
    assert.strictEqual(await first, bytes.length + 9);
    assert.strictEqual(await second, 1000);
    assertBytes(
      await received,
      Buffer.concat([
        Buffer.from('beforehead'),
        bytes,
        Buffer.from('tail!between'),
        bytes.subarray(100, 1100),
        Buffer.from('after'),
      ]),
    );
  });
}

test('behind writes that fill the socket', async () => {
  const { near, far } = await pair();
  const large = Buffer.alloc(8 << 20, 'a');
  near.write(large);
  near.write(large);
  const sending = transfer(near, file.path);
  const received = readAll(far);
  assert.strictEqual(await sending, SIZE);
  near.end();
  assertBytes(await received, Buffer.concat([large, large, file.bytes]));
});

test('many turns of writes and transfers stay in order', async () => {
  const { near, far } = await pair();
  const received = readAll(far);
  const expected = [];
  for (let i = 0; i < 60; i++) {
    const text = `${i}:`.repeat(1 + (i % 7) * 3000);
    near.write(text);
    expected.push(Buffer.from(text), small.bytes);
    const sending = transfer(near, i % 2 ? small.path : fs.openSync(small.path));
    if (copies || i % 3) await sending;
    if (i % 5 === 0) await new Promise(setImmediate);
    if (i % 2) await sending;
  }
  near.end();
  assertBytes(await received, Buffer.concat(expected));
});

test('a slow reader gets all', async () => {
  const { near, far } = await pair();
  const sending = transfer(near, file.path);
  const parts = [];
  for (let got = 0; got < SIZE; got += 256 * 1024) {
    parts.push(await readBytes(far, Math.min(256 * 1024, SIZE - got)));
    await new Promise(setImmediate);
  }
  assert.strictEqual(await sending, SIZE);
  assertBytes(Buffer.concat(parts), file.bytes);
  near.destroy();
});

test('a unix socket, with small buffers', async () => {
  const { near, far } = await socketPair({ unix: true });
  const received = readAll(far);
  near.write('before');
  assert.strictEqual(await transfer(near, file.path), SIZE);
  near.end('after');
  assertBytes(await received, Buffer.concat([Buffer.from('before'), file.bytes, Buffer.from('after')]));
});

test('a handle whose socket is destroyed names no fd any more', async () => {
  for (const leave of [({ near }) => near.destroy(), ({ far }) => far.resetAndDestroy()]) {
    const { near, far } = await pair();
    const handle = near._handle;
    const closed = new Promise((resolve) => near.once('close', resolve));
    near.resume();
    leave({ near, far });
    await closed;
    assert.ok(near._handle === null || !(near._handle.fd >= 0));
    assert.ok(!(handle.fd >= 0));
    far.destroy();
  }
});

const huge = sample(0);
fs.truncateSync(huge.path, 64 << 20);

test('an abort in the middle', async () => {
  const { near, far } = await pair();
  const control = new AbortController();
  const sending = failure(transfer(near, huge.path, { signal: control.signal }));
  await readBytes(far, 100_000);
  control.abort();
  const error = await sending;
  assert.strictEqual(error.code, 'ABORT_ERR');
  assert.ok(error.bytesSent >= 100_000);
  assert.ok(near.destroyed);
});

test('an abort before', async () => {
  const { near, far } = await pair();
  const error = await failure(transfer(near, file.path, { signal: AbortSignal.abort() }));
  assert.strictEqual(error.code, 'ABORT_ERR');
  near.end('usable');
  assert.strictEqual((await readAll(far)).toString(), 'usable');
});

test('a timeout when nobody reads', async () => {
  const { near } = await pair();
  const error = await failure(transfer(near, huge.path, { timeout: 300 }));
  assert.strictEqual(error.code, 'ERR_SENDFILE_TIMEOUT');
});

test('a peer that leaves', async () => {
  const { near, far } = await pair();
  const sending = failure(transfer(near, huge.path));
  await readBytes(far, 1000);
  far.destroy();
  assert.strictEqual((await sending).code, 'ERR_STREAM_PREMATURE_CLOSE');
});

test('a socket that is destroyed', async () => {
  const { near, far } = await pair();
  const sending = failure(transfer(near, huge.path));
  const next = failure(transfer(near, fs.openSync(huge.path)));
  await readBytes(far, 1000);
  const end = readAll(far).catch(() => {});
  near.destroy();
  assert.strictEqual((await sending).code, 'ERR_STREAM_PREMATURE_CLOSE');
  assert.strictEqual((await next).code, 'ERR_STREAM_PREMATURE_CLOSE');
  await end;
});

test('progress is told, and the count is right', async () => {
  const { near, far } = await pair();
  const received = readAll(far);
  const heard = [];
  await transfer(near, file.path, { onProgress: (bytes) => heard.push(bytes) });
  near.end();
  await received;
  assert.strictEqual(heard[heard.length - 1], SIZE);
  assert.deepStrictEqual(
    [...heard].sort((a, b) => a - b),
    heard,
  );
});

test('a path that is not there, and a bad fd, leave the socket usable', async () => {
  const { near, far } = await pair();
  const missing = await failure(transfer(near, '/no/such/file'));
  assert.deepStrictEqual([missing.code, missing.syscall, missing.bytesSent], ['ENOENT', 'open', 0]);
  assert.strictEqual((await failure(transfer(near, 987_654))).code, 'EBADF');
  assert.strictEqual((await failure(transfer(near, small.path, { offset: -1 }))).code, 'EINVAL');
  assert.strictEqual((await failure(transfer(near, {}))).code, 'ERR_INVALID_ARG_TYPE');
  near.end('usable');
  assert.strictEqual((await readAll(far)).toString(), 'usable');
});

test('both methods by name', async () => {
  for (const method of ['sendfile', 'copy']) {
    const { near, far } = await pair();
    const received = readAll(far);
    const sending = transfer(near, file.path, { method });
    if (method === 'sendfile' && copies) {
      assert.strictEqual((await failure(sending)).code, 'ENOTSUP');
      near.end();
      assert.strictEqual((await received).length, 0);
      continue;
    }
    assert.strictEqual(await sending, SIZE);
    near.end();
    assertBytes(await received, file.bytes);
  }
});

test('300 sockets that are left in every way, their numbers used again: each got its own file alone', async () => {
  const TAGS = 8;
  const files = Array.from({ length: TAGS }, (_, tag) => tmpFile(Buffer.alloc(300_000, tag + 1)));
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', ([tag, how]) => {
      const fd = fs.openSync(files[tag]);
      const sending = transfer(socket, fd);
      fs.closeSync(fd);
      sending.then(
        () => socket.end(),
        () => {},
      );
      if (how === 1) setImmediate(() => socket.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const strays = [];
  let received = 0;
  const client = (tag, how) =>
    new Promise((resolve) => {
      const socket = net.connect(server.address().port, '127.0.0.1', () => socket.write(Buffer.of(tag, how)));
      socket.on('error', () => {});
      socket.on('data', (data) => {
        received += data.length;
        if (!data.equals(Buffer.alloc(data.length, tag + 1))) strays.push({ tag, got: [...new Set(data)] });
        if (how === 2) socket.destroy();
      });
      socket.on('close', resolve);
    });
  const lane = async (first) => {
    for (let i = 0; i < 30; i++) await client((first + i) % TAGS, i % 3);
  };
  await Promise.all(Array.from({ length: 10 }, (_, first) => lane(first)));
  server.close();
  assert.deepStrictEqual(strays, []);
  assert.ok(received > 300_000 * 50, `${received} bytes`);
});

test('a socket that is still connecting', async () => {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const arriving = once(server, 'connection').then(([socket]) => readAll(socket));
  const out = net.connect(server.address().port, '127.0.0.1');
  const fd = fs.openSync(file.path);
  const sending = transfer(out, fd);
  fs.closeSync(fd);
  assert.strictEqual(await sending, SIZE);
  out.end();
  assertBytes(await arriving, file.bytes);
  server.close();
});

run();
