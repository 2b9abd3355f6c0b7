'use strict';

/** Responses: their length, their order on one connection, and the way they go. */

const fs = require('node:fs');
const http = require('node:http');
const { transfer } = require('rs-sendfile');
const { httpServer, pattern, request, tmpFile, tmpPath, until } = require('../helpers');
const { assert, assertBytes, failure, lastWay, run, test, told } = require('../runtimes/harness');

const content = pattern(2 << 20, 6);
const file = tmpFile(content);
const small = tmpFile(content.subarray(0, 3000));
const GiB = 1024 ** 3;

test('thirty responses on one connection, large and small in turn, each of its length', async () => {
  let connections = 0;
  const { server, port, close } = await httpServer(async (req, res) => {
    await transfer(res, req.url === '/small' ? small : file);
    res.end();
  });
  server.on('connection', () => {
    connections += 1;
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 30; i++) {
    const [path, length] = i % 3 === 0 ? ['/large', content.length] : ['/small', 3000];
    const { status, headers, body } = await request(port, { agent, path });
    assert.deepStrictEqual([status, headers['content-length']], [200, String(length)]);
    assertBytes(body, content.subarray(0, length));
  }
  assert.strictEqual(connections, 1);
  const large = () => told.filter(({ bytes }) => bytes === content.length);
  // A client has its bytes a moment before its server hears of it.
  await until(() => large().length === 10, 'the ends of ten transfers', 5000);
  for (const { method, reason } of large()) assert.deepStrictEqual([method, reason], ['sendfile', undefined]);
  agent.destroy();
  await close();
});

test('a range past 4 GiB, and its Content-Length', async () => {
  const huge = tmpPath();
  const fd = fs.openSync(huge, 'w');
  fs.writeSync(fd, content, 0, content.length, 5 * GiB);
  fs.closeSync(fd);
  let sending;
  const { port, close } = await httpServer(async (_req, res) => {
    sending = transfer(res, huge, { offset: 5 * GiB, length: 1_000_000 });
    await sending;
    res.end();
  });
  const { headers, body } = await request(port);
  assert.strictEqual(await sending, 1_000_000);
  assert.strictEqual(headers['content-length'], '1000000');
  assertBytes(body, content.subarray(0, 1_000_000));
  assert.strictEqual(lastWay(), 'sendfile');
  await close();
});

test('HEAD of 6 GiB has its length and no body', async () => {
  const huge = tmpPath();
  fs.writeFileSync(huge, '');
  fs.truncateSync(huge, 6 * GiB);
  const { port, close } = await httpServer(async (_req, res) => {
    await transfer(res, huge);
    res.end();
  });
  const { headers, body } = await request(port, { method: 'HEAD' });
  assert.deepStrictEqual([headers['content-length'], body.length], [String(6 * GiB), 0]);
  await close();
});

test('chunked, between other writes', async () => {
  const { port, close } = await httpServer(async (_req, res) => {
    res.write('before');
    await transfer(res, file);
    res.end('after');
  });
  const { headers, body } = await request(port);
  assert.strictEqual(headers['content-length'], undefined);
  assertBytes(body, Buffer.concat([Buffer.from('before'), content, Buffer.from('after')]));
  await close();
});

test('a length that the file does not have ends the connection', async () => {
  let failed;
  const { port, close } = await httpServer((_req, res) => {
    failed = failure(transfer(res, small, { length: 5 * GiB }));
  });
  assert.strictEqual((await failure(request(port))).code, 'ECONNRESET');
  const error = await failed;
  assert.deepStrictEqual([error.code, error.bytesSent], ['ERR_SENDFILE_TRUNCATED', 0]);
  await close();
});

run();
