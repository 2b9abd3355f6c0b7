'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { transfer } = require('../..');
const { listen, readAll, until } = require('../helpers');
const { assert, assertBytes, failure, lastWay, run, runtime, sample, test } = require('./harness');

const SIZE = 2 << 20;
const file = sample(SIZE);
const small = sample(20_000, 9);
const huge = sample(0);
fs.truncateSync(huge.path, 64 << 20);
const way = { node: 'sendfile', bun: 'copy: not a plain socket', deno: 'copy: no fd' }[runtime];

const opened = [];

/** A server for one test: its port. */
async function serve(handler) {
  const server = http.createServer(handler);
  opened.push(server);
  return listen(server);
}

function get(port, options = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port, agent: false, ...options }, (res) => {
      readAll(res).then((body) => resolve({ status: res.statusCode, headers: res.headers, body }), reject);
    });
    req.on('error', reject);
    req.end();
  });
}

/** A raw request; the socket has what comes back. */
async function ask(port, text = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n') {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

test('a whole file, its Content-Length, and the way it takes', async () => {
  let tell;
  const counted = new Promise((resolve) => {
    tell = resolve;
  });
  const port = await serve(async (_req, res) => {
    tell(await transfer(res, file.path));
    res.end();
  });
  const { status, headers, body } = await get(port);
  // A client has all that was promised a moment before its server hears of it.
  const count = await counted;
  assert.strictEqual(status, 200);
  assert.strictEqual(headers['content-length'], String(SIZE));
  assertBytes(body, file.bytes);
  assert.strictEqual(count, SIZE);
  assert.strictEqual(lastWay(), way);
});

test('a small file, an fd that is closed at once, a range', async () => {
  const port = await serve(async (_req, res) => {
    const fd = fs.openSync(small.path);
    const sending = transfer(res, fd, { offset: 10, length: 15_000 });
    fs.closeSync(fd);
    await sending;
    res.end();
  });
  assertBytes((await get(port)).body, small.bytes.subarray(10, 15_010));
});

test('twenty requests on one connection', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const port = await serve(async (req, res) => {
    await transfer(res, req.url === '/small' ? small.path : file.path);
    res.end();
  });
  for (let i = 0; i < 20; i++) {
    const [path, { bytes }] = i % 4 ? ['/small', small] : ['/large', file];
    assertBytes((await get(port, { agent, path })).body, bytes);
  }
  agent.destroy();
});

test('between other writes, chunked', async () => {
  const port = await serve(async (_req, res) => {
    res.writeHead(200, { 'Transfer-Encoding': 'chunked' });
    res.write('before');
    await transfer(res, small.path);
    res.write('between');
    await transfer(res, file.path, { headers: 'head', trailers: 'tail' });
    res.end('after');
  });
  const { body } = await get(port);
  assertBytes(
    body,
    Buffer.concat([
      Buffer.from('before'),
      small.bytes,
      Buffer.from('betweenhead'),
      file.bytes,
      Buffer.from('tailafter'),
    ]),
  );
});

test('HEAD has a length and no body', async () => {
  const port = await serve(async (_req, res) => {
    await transfer(res, file.path);
    res.end();
  });
  const { headers, body } = await get(port, { method: 'HEAD' });
  assert.strictEqual(headers['content-length'], String(SIZE));
  assert.strictEqual(body.length, 0);
});

test('a path that is not there leaves the response for another answer', async () => {
  const port = await serve(async (_req, res) => {
    const { code } = await failure(transfer(res, '/no/such/file'));
    res.statusCode = 404;
    res.end(code);
  });
  const { status, body } = await get(port);
  assert.deepStrictEqual([status, body.toString()], [404, 'ENOENT']);
});

test('a client that leaves rejects the transfer', async () => {
  let outcome;
  const port = await serve((_req, res) => {
    outcome = failure(transfer(res, huge.path));
  });
  const client = await ask(port);
  await once(client, 'data');
  client.destroy();
  assert.strictEqual((await outcome).code, 'ERR_STREAM_PREMATURE_CLOSE');
});

test('an abort in the middle ends the connection', async () => {
  const control = new AbortController();
  let outcome;
  const port = await serve((_req, res) => {
    outcome = failure(transfer(res, huge.path, { signal: control.signal }));
  });
  const client = await ask(port);
  await once(client, 'data');
  control.abort();
  assert.strictEqual((await outcome).code, 'ABORT_ERR');
  client.resume();
  if (!client.closed) await once(client, 'close');
});

test('a client that does not read: a timeout, and no file in memory', async () => {
  let outcome;
  const port = await serve((_req, res) => {
    outcome = failure(transfer(res, huge.path, { timeout: 500 }));
  });
  const client = await ask(port);
  client.pause();
  await until(() => outcome, 'the request');
  const error = await outcome;
  assert.strictEqual(error.code, 'ERR_SENDFILE_TIMEOUT');
  assert.ok(error.bytesSent < 64 << 20, `${error.bytesSent} bytes were taken`);
  client.destroy();
});

test('a file that is shorter than promised is refused', async () => {
  let outcome;
  const port = await serve((_req, res) => {
    outcome = failure(transfer(res, small.path, { length: 30_000 }));
  });
  const client = await ask(port);
  await until(() => outcome, 'the request');
  assert.strictEqual((await outcome).code, 'ERR_SENDFILE_TRUNCATED');
  client.destroy();
});

test('more than was promised is refused', async () => {
  const port = await serve(async (_req, res) => {
    res.setHeader('Content-Length', 100);
    const { code } = await failure(transfer(res, small.path));
    res.end(Buffer.alloc(100, code));
  });
  assert.ok((await get(port)).body.toString().startsWith('ERR_HTTP_CONTENT_LENGTH_MISMATCH'));
});

test('an upload by http.request', async () => {
  const port = await serve(async (req, res) => {
    const body = await readAll(req);
    res.end(String(body.equals(file.bytes)));
  });
  const req = http.request({ host: '127.0.0.1', port, method: 'PUT', agent: false });
  const answer = once(req, 'response');
  assert.strictEqual(await transfer(req, file.path), SIZE);
  req.end();
  const [res] = await answer;
  assert.strictEqual((await readAll(res)).toString(), 'true');
});

test('the servers end', async () => {
  for (const server of opened) {
    server.close();
    server.closeAllConnections();
  }
});

run();
