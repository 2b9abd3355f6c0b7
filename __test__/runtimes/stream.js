'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { PassThrough, Writable } = require('node:stream');
const tls = require('node:tls');
const { transfer } = require('../..');
const { listen, openFifo, readAll, root, tmpPath } = require('../helpers');
const { assert, assertBytes, failure, lastWay, run, sample, test } = require('./harness');

const SIZE = 1 << 20;
const file = sample(SIZE);

test('a PassThrough gets a path, an fd and a range, in order', async () => {
  const out = new PassThrough();
  const received = readAll(out);
  const fd = fs.openSync(file.path);
  const sending = [
    transfer(out, file.path, { headers: 'head' }),
    transfer(out, fd, { offset: 5, length: 70_000, trailers: 'tail' }),
  ];
  fs.closeSync(fd);
  assert.deepStrictEqual(await Promise.all(sending), [SIZE + 4, 70_004]);
  assert.strictEqual(lastWay(), 'copy: not a plain socket');
  out.end();
  assertBytes(
    await received,
    Buffer.concat([Buffer.from('head'), file.bytes, file.bytes.subarray(5, 70_005), Buffer.from('tail')]),
  );
});

test('a PassThrough that nobody reads holds the transfer back', async () => {
  const out = new PassThrough();
  const error = await failure(transfer(out, file.path, { timeout: 200 }));
  assert.strictEqual(error.code, 'ERR_SENDFILE_TIMEOUT');
  assert.ok(error.bytesSent < SIZE);
  assert.ok(out.destroyed);
});

test('TLS gets the bytes', async () => {
  const pem = fs.readFileSync(path.join(root, '__test__', 'fixtures', 'localhost.pem'));
  const server = tls.createServer({ key: pem, cert: pem }, async (socket) => {
    socket.on('error', () => {});
    await transfer(socket, file.path);
    socket.end();
  });
  const port = await listen(server);
  const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  // By 'data': an iteration over a TLS client that begins before its handshake hangs in Deno 2.9, whoever sends.
  const chunks = [];
  client.on('data', (chunk) => chunks.push(chunk));
  await once(client, 'end');
  assertBytes(Buffer.concat(chunks), file.bytes);
  assert.strictEqual(lastWay(), 'copy: TLS');
  server.close();
});

test('an abort', async () => {
  const out = new PassThrough();
  const control = new AbortController();
  const sending = failure(transfer(out, file.path, { signal: control.signal }));
  out.once('readable', () => control.abort());
  assert.strictEqual((await sending).code, 'ABORT_ERR');
});

test('a stream that fails', async () => {
  const cause = new Error('mine');
  const out = new Writable({ write: (_chunk, _encoding, done) => done(cause) });
  const error = await failure(transfer(out, file.path));
  assert.strictEqual(error.code, 'ERR_STREAM_PREMATURE_CLOSE');
  assert.strictEqual(error.cause, cause);
});

test('a file stream', async () => {
  const place = tmpPath();
  const out = fs.createWriteStream(place);
  assert.strictEqual(await transfer(out, file.path), SIZE);
  await new Promise((resolve) => out.end(resolve));
  assertBytes(fs.readFileSync(place), file.bytes);
});

test('a file whose size says nothing', async () => {
  const out = new PassThrough();
  const received = readAll(out);
  const expected = fs.readFileSync('/proc/version');
  assert.strictEqual(await transfer(out, '/proc/version'), expected.length);
  assert.strictEqual(lastWay(), 'copy: unsized');
  out.end();
  assertBytes(await received, expected);
});

test('a FIFO as a source, until its end', async () => {
  const { path: fifo, fd } = openFifo();
  const input = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  fs.writeSync(fd, 'through a pipe');
  fs.closeSync(fd);
  const out = new PassThrough();
  const received = readAll(out);
  const sending = transfer(out, input);
  fs.closeSync(input);
  assert.strictEqual(await sending, 14);
  out.end();
  assert.strictEqual((await received).toString(), 'through a pipe');
});

test('a file that becomes shorter', async () => {
  const short = sample(SIZE);
  const out = new PassThrough();
  const sending = failure(transfer(out, short.path));
  out.once('readable', () => {
    fs.truncateSync(short.path, 100_000);
    out.resume();
  });
  assert.strictEqual((await sending).code, 'ERR_SENDFILE_TRUNCATED');
});

run();
