'use strict';

/**
 * The `compression` middleware, which replaces `write`, `end` and `on` of a response: what its client unpacks is what a
 * transfer was given, and what it leaves alone arrives as it is.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const zlib = require('node:zlib');
const compression = require('compression');
const { transfer } = require('..');
const { pattern, runInChild, tmpFile, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { expectBytes, failure } = require('./streams');

/** Text that can be made smaller: 1 MiB and a bit. */
const bytes = Buffer.from(pattern(524_300, 9).toString('hex'));
const path = tmpFile(bytes);
const packed = 'Accept-Encoding: gzip';

/** A server whose responses go through `compression`, and a client that asks it once. */
async function ask(handler, { headers = [packed], method = 'GET', options } = {}) {
  const middleware = compression({ threshold: 0, ...options });
  let settled;
  const { port } = await httpServer((req, res) => {
    res.setHeader('Content-Type', 'text/plain');
    middleware(req, res, () => {
      settled = handler(res, req);
    });
  });
  const client = connect(port);
  client.send('/', method, headers);
  const response = await client.response(method);
  return { client, response, result: await settled };
}

const sources = {
  'a path': (res, options) => transfer(res, path, options),
  'an fd': (res, options) => {
    const fd = fs.openSync(path);
    const sending = transfer(res, fd, options);
    fs.closeSync(fd);
    return sending;
  },
};

describe.each(Object.entries(sources))('compression before a transfer of %s', (_name, send) => {
  test('packs it', async () => {
    const { response, result } = await ask(async (res) => {
      const sent = await send(res);
      res.end();
      return sent;
    });
    expect(result).toBe(bytes.length);
    expect(response.headers).toMatchObject({ 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' });
    // The length is that of the file, not of what goes out.
    expect(response.headers).not.toHaveProperty('content-length');
    expect(response.whole).toBe(true);
    expectBytes(zlib.gunzipSync(response.body), bytes);
  });

  test('packs it with the writes around it, its headers and its trailers', async () => {
    const { response } = await ask(async (res) => {
      res.write('before ');
      await send(res, { headers: '<', trailers: '>' });
      res.write(' between ');
      await send(res, { offset: 10, length: 70_000 });
      res.end(' after');
    });
    const parts = ['before <', bytes, '> between ', bytes.subarray(10, 70_010), ' after'];
    expectBytes(zlib.gunzipSync(response.body), Buffer.concat(parts.map((part) => Buffer.from(part))));
  });

  test.each([
    ['a client that takes nothing packed', { headers: [] }],
    ['a type that it leaves alone', { options: { filter: () => false } }],
    ['a body below its threshold', { options: { threshold: '10mb' } }],
  ])('leaves it as it is for %s', async (_why, options) => {
    const { response, result, client } = await ask(async (res) => {
      const sent = await send(res);
      res.end();
      return sent;
    }, options);
    expect(result).toBe(bytes.length);
    expect(response).toMatchObject({ framing: 'length', whole: true });
    expectBytes(response.body, bytes);
    client.send('/', 'GET', ['Connection: close']);
    expectBytes((await client.response()).body, bytes);
  });

  test('answers HEAD with a head', async () => {
    const { response, result } = await ask(
      async (res) => {
        const sent = await send(res);
        res.end();
        return sent;
      },
      { method: 'HEAD' },
    );
    expect(result).toBe(0);
    expect(response.body).toHaveLength(0);
  });

  test('tells its abort, and ends the connection', async () => {
    const controller = new AbortController();
    let sending;
    const { port } = await httpServer((req, res) => {
      compression({ threshold: 0, level: 0 })(req, res, () => {
        res.setHeader('Content-Type', 'text/plain');
        sending = failure(send(res, { signal: controller.signal, trailers: [Buffer.alloc(64 << 20)] }));
      });
    });
    const client = connect(port);
    client.send('/', 'GET', [packed]);
    await client.fill();
    controller.abort();
    expect(await sending).toMatchObject({ code: 'ABORT_ERR' });
    client.socket.resume();
    if (!client.socket.closed) await once(client.socket, 'close');
  });

  test('ends with its client', async () => {
    let sending;
    const { port } = await httpServer((req, res) => {
      compression({ threshold: 0, level: 0 })(req, res, () => {
        res.setHeader('Content-Type', 'text/plain');
        sending = failure(send(res, { trailers: [Buffer.alloc(64 << 20)] }));
      });
    });
    const client = connect(port);
    client.send('/', 'GET', [packed]);
    await client.fill();
    client.destroy();
    expect(await sending).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
  });
});

test('compression that comes once a transfer is in the queue packs only what follows', async () => {
  let sent;
  const { port } = await httpServer(async (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    const fd = fs.openSync(path);
    sent = transfer(res, fd);
    fs.closeSync(fd);
    compression({ threshold: 0 })(req, res, () => {});
    await sent;
    res.end();
  });
  const client = connect(port);
  client.send('/', 'GET', [packed]);
  const response = await client.response();
  expect(await sent).toBe(bytes.length);
  expect(response.headers).not.toHaveProperty('content-encoding');
  expectBytes(response.body, bytes);
});

test('twenty packed responses of one connection, with the file itself between them', async () => {
  const middleware = compression({ threshold: 0 });
  let done = 0;
  const { port } = await httpServer((req, res) => {
    const answer = async () => {
      res.setHeader('Content-Type', 'text/plain');
      await transfer(res, path);
      res.end();
      done++;
    };
    if (req.url === '/packed') middleware(req, res, answer);
    else answer();
  });
  const client = connect(port);
  for (let i = 0; i < 20; i++) client.send(i % 2 ? '/' : '/packed', 'GET', [packed]);
  for (let i = 0; i < 20; i++) {
    const { body } = await client.response();
    expectBytes(i % 2 ? body : zlib.gunzipSync(body), bytes);
  }
  await until(() => done === 20, 'all handlers');
});

test('a large packed response makes no listener leak warning', async () => {
  // A process of its own: jest's has no warnings.
  const { code, stderr } = await runInChild(`
    const compression = require('compression');
    const http = require('node:http');
    const { transfer } = require('.');
    const server = http.createServer((req, res) => {
      compression({ threshold: 0 })(req, res, async () => {
        res.setHeader('Content-Type', 'text/plain');
        await transfer(res, ${JSON.stringify(path)});
        res.end();
        server.close();
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const headers = { 'Accept-Encoding': 'gzip' };
      http.get({ port: server.address().port, host: '127.0.0.1', headers, agent: false }, (res) => res.resume());
    });
  `);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});
