'use strict';

/**
 * What holds on every system, with a binary or without one, as on Windows: transfers arrive whole and in order. Uses
 * nothing that a system may lack: TCP, HTTP, files and streams. By how bytes went it asks nothing.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { PassThrough, Writable } = require('node:stream');
const { sendfile, sendfileSync, support, transfer, waitWritable } = require('../..');
const { listen, readAll, socketPair, tmpPath } = require('../helpers');
const { assert, assertBytes, failure, run, sample, test } = require('../runtimes/harness');

const SIZE = 9 << 20;
const file = sample(SIZE);
const gone = tmpPath('gone');

test('support says whether there is a binary, and why not', () => {
  const { available, platform, syscall, reason } = support;
  console.log(`# ${platform}: ${available ? syscall : reason}`);
  assert.ok(platform.startsWith(`${process.platform}-${process.arch}`));
  assert.strictEqual(typeof syscall === 'string', available);
  assert.strictEqual(typeof reason === 'string', !available);
});

if (!support.available) {
  test('the call is ENOSYS', async () => {
    const input = fs.openSync(file.path);
    const message = 'ENOSYS: function not implemented, sendfile';
    assert.throws(() => sendfileSync(1, input, 0, 1), { code: 'ENOSYS', syscall: 'sendfile', message });
    assert.strictEqual((await failure(sendfile(1, input, 0, 1))).code, 'ENOSYS');
    fs.closeSync(input);
  });
}

if (process.platform === 'win32') {
  test('nothing is waited for on Windows', async () => {
    assert.strictEqual((await failure(waitWritable(1))).code, 'ENOSYS');
  });
}

test('a socket gets a file between its other bytes', async () => {
  const { near, far } = await socketPair();
  const received = readAll(far);
  near.write('before');
  const sent = await transfer(near, file.path, { headers: 'head', trailers: ['ta', Buffer.from('il')] });
  near.end('after');
  assert.strictEqual(sent, SIZE + 8);
  assertBytes(
    await received,
    Buffer.concat([Buffer.from('beforehead'), file.bytes, Buffer.from('tailafter')]),
  );
});

test('ranges arrive in the order of the calls, by path, fd and FileHandle', async () => {
  const { near, far } = await socketPair();
  const received = readAll(far);
  const fd = fs.openSync(file.path);
  const handle = await fs.promises.open(file.path);
  const sent = await Promise.all([
    transfer(near, file.path, { offset: 10, length: 300_000 }),
    transfer(near, fd, { offset: SIZE - 5 }),
    transfer(near, handle, { offset: 1n, length: 200_000n }),
    transfer(near, file.path, { offset: SIZE + 1 }),
  ]);
  near.end();
  fs.closeSync(fd);
  await handle.close();
  assert.deepStrictEqual(sent, [300_000, 5, 200_000, 0]);
  const { bytes } = file;
  assertBytes(
    await received,
    Buffer.concat([bytes.subarray(10, 300_010), bytes.subarray(-5), bytes.subarray(1, 200_001)]),
  );
});

test('a reader that pauses now and then gets every byte', async () => {
  const { near, far } = await socketPair();
  const sending = transfer(near, file.path).finally(() => near.end());
  const chunks = [];
  far.on('data', (chunk) => {
    chunks.push(chunk);
    if (chunks.length % 8 !== 0) return;
    far.pause();
    setImmediate(() => far.resume());
  });
  far.resume();
  await once(far, 'end');
  assert.strictEqual(await sending, SIZE);
  assertBytes(Buffer.concat(chunks), file.bytes);
});

test('a response gets its length, and HEAD no body', async () => {
  const server = http.createServer(async (_req, res) => {
    await transfer(res, file.path);
    res.end();
  });
  const port = await listen(server);
  for (const method of ['GET', 'HEAD']) {
    const req = http.request({ host: '127.0.0.1', port, method, agent: false }).end();
    const [res] = await once(req, 'response');
    const body = await readAll(res);
    assert.strictEqual(res.headers['content-length'], String(SIZE));
    assertBytes(body, method === 'GET' ? file.bytes : Buffer.alloc(0));
  }
  server.close();
});

test('a request of a client gets its body', async () => {
  const server = http.createServer(async (req, res) => {
    res.end(String((await readAll(req)).equals(file.bytes)));
  });
  const port = await listen(server);
  const req = http.request({ host: '127.0.0.1', port, method: 'PUT', agent: false });
  const responded = once(req, 'response');
  await transfer(req, file.path);
  req.end();
  const [res] = await responded;
  assert.strictEqual((await readAll(res)).toString(), 'true');
  server.close();
});

test('any Writable and a file get the bytes', async () => {
  const through = new PassThrough();
  const received = readAll(through);
  assert.strictEqual(await transfer(through, file.path, { length: 400_000 }), 400_000);
  through.end();
  assertBytes(await received, file.bytes.subarray(0, 400_000));
  const to = tmpPath('copy');
  const stream = fs.createWriteStream(to);
  await transfer(stream, file.path);
  stream.end();
  await once(stream, 'close');
  assertBytes(fs.readFileSync(to), file.bytes);
});

test('a reader that leaves ends the transfer', async () => {
  const { near, far } = await socketPair();
  near.on('error', () => {});
  const sending = failure(transfer(near, file.path));
  await once(far, 'readable');
  far.destroy();
  const error = await sending;
  assert.strictEqual(error.code, 'ERR_STREAM_PREMATURE_CLOSE');
  assert.ok(error.bytesSent < SIZE);
});

test('a signal and a timeout end it', async () => {
  for (const [options, code] of [
    [(controller) => ({ signal: controller.signal }), 'ABORT_ERR'],
    [() => ({ timeout: 200 }), 'ERR_SENDFILE_TIMEOUT'],
  ]) {
    const { near, far } = await socketPair();
    near.on('error', () => {});
    far.on('error', () => {});
    const controller = new AbortController();
    // More than the system holds for a reader that never reads.
    const headers = Buffer.alloc(64 << 20);
    const sending = failure(transfer(near, file.path, { headers, ...options(controller) }));
    setImmediate(() => controller.abort());
    assert.strictEqual((await sending).code, code);
    far.destroy();
    near.destroy();
  }
});

test('files that are none are refused, and the stream stays usable', async () => {
  const { near, far } = await socketPair();
  const received = readAll(far);
  assert.strictEqual((await failure(transfer(near, gone))).code, 'ENOENT');
  assert.strictEqual((await failure(transfer(near, -1))).code, 'EBADF');
  const directory = await failure(transfer(near, path.dirname(gone)));
  assert.ok(['EISDIR', 'EINVAL', 'EPERM', 'EACCES'].includes(directory.code), directory.code);
  near.end('after');
  assert.strictEqual((await received).toString(), 'after');
});

test("a Writable's error is the cause", async () => {
  const mine = new Error('mine');
  const out = new Writable({ write: (_chunk, _encoding, done) => done(mine) });
  const error = await failure(transfer(out, file.path));
  assert.deepStrictEqual([error.code, error.cause], ['ERR_STREAM_PREMATURE_CLOSE', mine]);
});

test('a file that was opened by its path can be removed afterwards', async () => {
  const { path: own, bytes } = sample(100_000);
  const { near, far } = await socketPair();
  const received = readAll(far);
  await transfer(near, own);
  near.end();
  assertBytes(await received, bytes);
  fs.rmSync(own);
  assert.ok(!fs.existsSync(own));
});

test('register: what is piped into a response arrives', async () => {
  const register = require('../../register');
  const server = http.createServer((_req, res) => void fs.createReadStream(file.path).pipe(res));
  const port = await listen(server);
  const [res] = await once(http.get({ host: '127.0.0.1', port, agent: false }), 'response');
  assertBytes(await readAll(res), file.bytes);
  server.close();
  const { taken, left } = register.stats();
  register.unregister();
  assert.deepStrictEqual([taken, left], support.available ? [1, {}] : [0, { unsupported: 1 }]);
});

test('many connections at once', async () => {
  const server = net.createServer(async (socket) => {
    await transfer(socket, file.path, { length: 500_000 });
    socket.end();
  });
  const port = await listen(server);
  const bodies = await Promise.all(Array.from({ length: 40 }, () => readAll(net.connect(port, '127.0.0.1'))));
  for (const body of bodies) assertBytes(body, file.bytes.subarray(0, 500_000));
  server.close();
});

run();
