'use strict';

/**
 * Clients that leave, or only seem to: how, when, from what, and by which way the bytes go. One outcome each.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { transfer } = require('..');
const { listen, openFds, pattern, readAll, readBytes, tmpFile, until } = require('./helpers');
const { closeAll, expectBytes, keep, openFile } = require('./streams');
const { expectCounted, methods } = require('./ways');

/** More than the buffers of a TCP connection hold. */
const SIZE = 12 << 20;
const content = pattern(SIZE, 31);
const file = tmpFile(content);
const SOME = 100_000;
const LEFT = 'ERR_STREAM_PREMATURE_CLOSE';
const TIMEOUT = 'ERR_SENDFILE_TIMEOUT';

const ours = () => [...openFds().values()].filter((what) => /^socket:|rs-sendfile/.test(what)).length;
let before;
beforeEach(() => {
  before = ours();
});
afterEach(async () => {
  closeAll();
  await until(() => ours() <= before, 'the descriptors of the connection');
});

/** A server, its connection to a client that reads nothing by itself, and how a body is sent to it. */
const places = {
  async 'a raw socket'() {
    const server = keep(net.createServer({ allowHalfOpen: true }));
    const client = await connect(server);
    const [near] = await once(server, 'connection');
    keep(near).on('error', () => {});
    near.resume();
    return { client, out: near, socket: near, bodyOf: (bytes) => bytes, end: '' };
  },
  async 'a response on keep-alive'() {
    const { server, client, res } = await ask();
    return {
      server,
      client,
      out: res,
      socket: res.socket,
      bodyOf: (bytes) => behind(bytes, '\r\n\r\n'),
      end: '',
    };
  },
  async 'a chunked response'() {
    const { server, client, res } = await ask();
    res.writeHead(200, { 'Transfer-Encoding': 'chunked' });
    return {
      server,
      client,
      out: res,
      socket: res.socket,
      // The body is one chunk.
      bodyOf: (bytes) => behind(behind(bytes, '\r\n\r\n'), '\r\n'),
      end: '\r\n0\r\n\r\n',
    };
  },
};

async function connect(server) {
  const client = keep(net.connect(await listen(server), '127.0.0.1'));
  client.on('error', () => {});
  client.pause();
  return client;
}

async function ask() {
  const server = keep(http.createServer());
  server.httpAllowHalfOpen = true;
  const client = await connect(server);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [, res] = await once(server, 'request');
  return { server, client, res };
}

/** What comes after the first of these. */
function behind(bytes, separator) {
  const at = bytes.indexOf(separator);
  return at < 0 ? Buffer.alloc(0) : bytes.subarray(at + separator.length);
}

const leavings = {
  async 'ends and closes'(client) {
    client.end();
    client.destroy();
    if (!client.closed) await once(client, 'close');
  },
  async resets(client) {
    client.resetAndDestroy();
    if (!client.closed) await once(client, 'close');
  },
};

const rows = Object.keys(places).flatMap((place) =>
  methods('sendfile', 'copy').map((method) => [place, method]),
);

describe.each(rows)('%s, by %s', (place, method) => {
  const options = { method };

  describe.each(Object.entries(leavings))('a client that %s', (_name, leave) => {
    test('before the first byte: rejected', async () => {
      const { client, out } = await places[place]();
      await leave(client);
      const error = await outcome(transfer(out, openFile(file), options));
      expect(error.code).toBe(LEFT);
      expect(error.bytesSent).toBeLessThan(SIZE);
    });

    test('in the middle: rejected, and what came was counted', async () => {
      const { client, out } = await places[place]();
      const sending = outcome(transfer(out, openFile(file), options));
      await readBytes(client, SOME);
      await leave(client);
      const error = await sending;
      expect(error.code).toBe(LEFT);
      expect(error.bytesSent).toBeGreaterThanOrEqual(SOME - 1000);
      expect(error.bytesSent).toBeLessThan(SIZE);
    });

    test('with the last byte: all was sent', async () => {
      const { client, out, bodyOf } = await places[place]();
      const sending = outcome(transfer(out, openFile(file), options));
      const body = await readBody(client, bodyOf, SIZE);
      await leave(client);
      expect(await sending).toBe(SIZE);
      expectBytes(body, content);
      out.end();
    });
  });

  describe('a client that ends its side and reads on gets everything', () => {
    test('having ended before the first byte', async () => {
      const { client, out, socket, bodyOf, end } = await places[place]();
      client.end();
      await once(socket, 'end');
      const sending = transfer(out, openFile(file), options).then((bytes) => {
        out.end();
        return bytes;
      });
      const received = bodyOf(await readAll(client));
      expectBytes(received, Buffer.concat([content, Buffer.from(end)]));
      expect(await sending).toBe(SIZE);
    });

    test('having ended in the middle', async () => {
      const { client, out, socket, bodyOf, end } = await places[place]();
      const sending = transfer(out, openFile(file), options).then((bytes) => {
        out.end();
        return bytes;
      });
      const first = await readBytes(client, SOME);
      client.end();
      await once(socket, 'end');
      const received = bodyOf(Buffer.concat([first, await readAll(client)]));
      expectBytes(received, Buffer.concat([content, Buffer.from(end)]));
      expect(await sending).toBe(SIZE);
    });

    test('having ended with the last byte', async () => {
      const { client, out, bodyOf } = await places[place]();
      const sending = transfer(out, openFile(file), options);
      const body = await readBody(client, bodyOf, SIZE);
      client.end();
      expect(await sending).toBe(SIZE);
      out.end();
      expectBytes(body, content);
      await readAll(client);
    });
  });

  describe('a client that says and reads nothing any more', () => {
    const starts = { 'before the first byte': 0, 'in the middle': SOME };

    test.each(Object.entries(starts))("%s: ended by the transfer's timeout", async (_when, length) => {
      const { client, out, bodyOf } = await places[place]();
      const sending = outcome(transfer(out, openFile(file), { ...options, timeout: 150 }));
      const first = await readBytes(client, length);
      const error = await sending;
      expect(error.code).toBe(TIMEOUT);
      const body = bodyOf(Buffer.concat([first, await rest(client)]));
      expectCounted(body.length, error.bytesSent);
      expectBytes(body, content.subarray(0, body.length));
    });

    test.each(Object.entries(starts))("%s: ended by the socket's timeout", async (_when, length) => {
      const { client, out, socket, bodyOf } = await places[place]();
      const sending = outcome(transfer(out, openFile(file), options));
      const first = await readBytes(client, length);
      socket.setTimeout(150, () => socket.destroy());
      const error = await sending;
      expect(error.code).toBe(LEFT);
      const body = bodyOf(Buffer.concat([first, await rest(client)]));
      expectCounted(body.length, error.bytesSent);
      expectBytes(body, content.subarray(0, body.length));
    });

    test('after the last byte: all was sent', async () => {
      const { client, out, bodyOf } = await places[place]();
      const sending = transfer(out, openFile(file), { ...options, timeout: 20_000 });
      expectBytes(await readBody(client, bodyOf, SIZE), content);
      expect(await sending).toBe(SIZE);
    });
  });
});

/** What a transfer resolves with, or its error. */
function outcome(promise) {
  return promise.catch((error) => error);
}

/** The next `length` bytes of a body. */
async function readBody(client, bodyOf, length) {
  const chunks = [];
  for (;;) {
    const missing = length - bodyOf(Buffer.concat(chunks.slice(0, 1))).length - sum(chunks.slice(1));
    if (missing <= 0) break;
    const chunk = await readBytes(client, chunks.length === 0 ? 1000 : missing);
    if (chunk.length === 0) throw new Error(`the connection ended ${missing} bytes early`);
    chunks.push(chunk);
  }
  return bodyOf(Buffer.concat(chunks)).subarray(0, length);
}

function sum(chunks) {
  return chunks.reduce((total, { length }) => total + length, 0);
}

/** Everything until the end, or until a reset. */
async function rest(client) {
  const chunks = [];
  try {
    for await (const chunk of client) chunks.push(chunk);
  } catch {
    // What came before it counts.
  }
  return Buffer.concat(chunks);
}

describe('a client that ends its side, of a server that does not stay half open, gets what Node’s own pipe gives it, or more', () => {
  /** What such a client receives of a body; it ends its side after `length` bytes of the answer. */
  async function receives(length, send) {
    const server = keep(http.createServer());
    const client = await connect(server);
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [, res] = await once(server, 'request');
    if (length === 0) {
      client.end();
      await once(res.socket, 'end');
    }
    const result = send(res).catch(({ code }) => code);
    const first = await readBytes(client, length);
    if (length > 0) client.end();
    const body = behind(Buffer.concat([first, await rest(client)]), '\r\n\r\n');
    return { body, result: await result };
  }

  const byPipe = (res) =>
    new Promise((resolve, reject) => {
      res.setHeader('Content-Length', SIZE);
      const source = fs.createReadStream(file).on('error', reject);
      res.on('close', () => source.destroy());
      source.on('close', resolve);
      source.pipe(res);
    });

  test.each([
    ['before the first byte', 0],
    ['in the middle', SOME],
  ])('%s', async (_when, length) => {
    const piped = await receives(length, byPipe);
    const sent = await receives(length, (res) => transfer(res, file).finally(() => res.end()));
    expect(sent.body.length).toBeGreaterThanOrEqual(piped.body.length);
    expectBytes(sent.body, content.subarray(0, sent.body.length));
    if (sent.body.length === SIZE) expect(sent.result).toBe(SIZE);
    else expect(sent.result).toBe(LEFT);
  });
});
