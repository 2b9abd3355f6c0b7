'use strict';

/** Sockets that are no plain server's: upgraded, tunnelled, half open, assigned by hand. What they get is what they do by themselves. */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { PassThrough } = require('node:stream');
const { transfer } = require('..');
const { listen, pattern, readAll, tmpFile, until } = require('./helpers');
const { closeAll, expectBytes, keep, openFile, pair } = require('./streams');

afterEach(closeAll);

const SIZE = 2 << 20;
const bytes = pattern(SIZE, 31);
const file = tmpFile(bytes);
/** More than a socket's buffers hold. */
const huge = tmpFile('');
fs.truncateSync(huge, 64 << 20);
const turn = () => new Promise(setImmediate);
const concat = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));

/** Sends one request's head over a socket of its own; gives the socket. */
async function ask(server, head) {
  const port = await listen(keep(server));
  const client = keep(net.connect(port, '127.0.0.1'));
  client.on('error', () => {});
  client.write(
    `${head}\r\nHost: x\r\n${head.startsWith('GET') ? 'Connection: Upgrade\r\nUpgrade: own\r\n' : ''}\r\n`,
  );
  return client;
}

describe.each([
  ['upgrade', 'GET / HTTP/1.1'],
  ['connect', 'CONNECT x:1 HTTP/1.1'],
])("the socket of a server's '%s'", (event, head) => {
  const hello = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';

  test('gets a transfer between its own writes, by fd and by path', async () => {
    const server = http.createServer();
    server.on(event, async (_req, socket) => {
      socket.write(hello);
      transfer(socket, openFile(file));
      socket.write('-');
      await transfer(socket, file, { offset: 5, headers: 'h', trailers: 't' });
      socket.end('end');
    });
    const client = await ask(server, head);
    expectBytes(await readAll(client), concat(hello, bytes, '-', 'h', bytes.subarray(5), 't', 'end'));
  });

  test('takes and gives at the same time', async () => {
    const server = http.createServer();
    let heard;
    server.on(event, (_req, socket, first) => {
      if (first.length > 0) socket.unshift(first);
      const chunks = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      heard = once(socket, 'end').then(() => Buffer.concat(chunks));
      socket.write(hello);
      transfer(socket, openFile(file)).then(() => socket.end());
    });
    const client = await ask(server, head);
    const received = readAll(client);
    client.end(bytes);
    expectBytes(await received, concat(hello, bytes));
    expectBytes(await heard, bytes);
  });

  test("a client that leaves ends the transfer, and is no 'clientError'", async () => {
    const server = http.createServer();
    const errors = [];
    let sent;
    server.on('clientError', (error) => errors.push(error));
    server.on(event, (_req, socket) => {
      socket.write(hello);
      sent = transfer(socket, openFile(huge)).catch((error) => error);
    });
    const client = await ask(server, head);
    await once(client, 'readable');
    client.destroy();
    expect(await sent).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(errors).toEqual([]);
  });
});

test("the socket of a client's 'upgrade' sends a file", async () => {
  const server = keep(http.createServer());
  const got = new Promise((resolve) => {
    server.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n');
      resolve(readAll(socket));
    });
  });
  const req = http.request({
    port: await listen(server),
    host: '127.0.0.1',
    headers: { Connection: 'Upgrade', Upgrade: 'own' },
  });
  req.end();
  const [, socket] = await once(req, 'upgrade');
  keep(socket);
  expect(await transfer(socket, file)).toBe(SIZE);
  socket.end();
  expectBytes(await got, bytes);
});

describe('a peer that has ended its side', () => {
  /** The peer ends before the transfer, or while it is under way. */
  const moments = { before: 0, 'under way': 1 };

  test.each(Object.entries(moments))(
    'with allowHalfOpen gets all there is to come: %s',
    async (_name, later) => {
      const { near, far } = await pair({ unix: true, allowHalfOpen: true });
      near.resume();
      if (!later) {
        far.end();
        await once(near, 'end');
      }
      const sending = transfer(near, openFile(file));
      if (later) {
        far.end();
        await once(near, 'end');
      }
      near.write('after');
      const received = readAll(far);
      expect(await sending).toBe(SIZE);
      near.end('end');
      expectBytes(await received, concat(bytes, 'after', 'end'));
    },
  );

  test('without it gets what was queued before, as from a plain write', async () => {
    const play = async (give) => {
      const { near, far } = await pair({ unix: true, allowHalfOpen: false });
      near.resume();
      near.on('error', () => {});
      const giving = give(near);
      far.end();
      await once(near, 'end');
      const received = readAll(far);
      return [await giving, await received];
    };
    const [, plain] = await play((near) => new Promise((resolve) => near.write(bytes, resolve)));
    const [sent, received] = await play((near) => transfer(near, openFile(file)));
    expectBytes(plain, bytes);
    expectBytes(received, plain);
    expect(sent).toBe(SIZE);
  });

  test('a server with httpAllowHalfOpen answers it', async () => {
    const server = keep(
      http.createServer(async (_req, res) => {
        await turn();
        await transfer(res, file);
        res.end();
      }),
    );
    server.httpAllowHalfOpen = true;
    const client = keep(net.connect(await listen(server), '127.0.0.1'));
    client.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const received = await readAll(client);
    expectBytes(received.subarray(-SIZE), bytes);
  });
});

describe('a response that no server has made', () => {
  const request = () =>
    Object.assign(new http.IncomingMessage(null), {
      method: 'GET',
      httpVersionMajor: 1,
      httpVersionMinor: 1,
    });
  const made = () => {
    const res = new http.ServerResponse(request());
    res.sendDate = false;
    res.shouldKeepAlive = false;
    return res;
  };
  const head = (size) => `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\nConnection: close\r\n\r\n`;

  test('assigned to a socket by hand', async () => {
    const { near, far } = await pair({ unix: true });
    const res = made();
    res.assignSocket(near);
    const received = readAll(far);
    const sent = transfer(res, openFile(file));
    res.end();
    expect(await sent).toBe(SIZE);
    near.end();
    expectBytes(await received, concat(head(SIZE), bytes));
  });

  test('assigned to a socket after it was written to', async () => {
    const { near, far } = await pair({ unix: true });
    const res = made();
    const received = readAll(far);
    const sent = transfer(res, openFile(file));
    await turn();
    res.assignSocket(near);
    expect(await sent).toBe(SIZE);
    res.end();
    near.end();
    expectBytes(await received, concat(head(SIZE), bytes));
  });

  test('assigned to another socket than that of its request', async () => {
    const { near, far } = await pair({ unix: true });
    const other = await pair({ unix: true });
    const res = new http.ServerResponse(Object.assign(request(), { socket: other.near }));
    res.sendDate = false;
    res.shouldKeepAlive = false;
    const received = readAll(far);
    const sent = transfer(res, openFile(file)).catch((error) => error);
    await turn();
    res.assignSocket(near);
    res.end();
    expect(await sent).toBe(SIZE);
    near.end();
    expectBytes(await received, concat(head(SIZE), bytes));
  });

  test('assigned to what is no plain socket, with a transfer in it: nothing goes there', async () => {
    const { near } = await pair({ unix: true });
    const res = new http.ServerResponse(Object.assign(request(), { socket: near }));
    const sent = transfer(res, openFile(file)).catch((error) => error);
    await turn();
    const other = new PassThrough();
    const received = readAll(other).catch(() => Buffer.alloc(0));
    res.assignSocket(other);
    expect(await sent).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
    expect(other.destroyed).toBe(true);
    expect(await received).toHaveLength(0);
  });

  test('with twenty transfers in it has no more listeners than with one', async () => {
    const { near, far } = await pair({ unix: true });
    const res = new http.ServerResponse(Object.assign(request(), { socket: near }));
    res.setHeader('Content-Length', 20 * SIZE);
    const listeners = () => ['socket', 'close', 'prefinish'].map((event) => res.listenerCount(event));
    const sent = [transfer(res, openFile(file))];
    const one = listeners();
    for (let i = 1; i < 20; i++) sent.push(transfer(res, openFile(file)));
    expect(listeners()).toEqual(one);
    await turn();
    res.assignSocket(near);
    far.resume();
    await Promise.all(sent);
  });

  test('written to a stream, as a test without a network does it', async () => {
    const near = new PassThrough();
    const res = made();
    res.assignSocket(near);
    const received = readAll(near);
    expect(await transfer(res, file)).toBe(SIZE);
    res.end();
    near.end();
    expectBytes(await received, concat(head(SIZE), bytes));
  });

  test('whose socket is taken away under a transfer goes on like a plain one', async () => {
    const play = async (give) => {
      const { near, far } = await pair({ unix: true });
      const res = made();
      res.assignSocket(near);
      res.setHeader('Content-Length', SIZE);
      const giving = give(res);
      await turn();
      res.detachSocket(near);
      const received = readAll(far);
      await giving;
      near.end();
      return received;
    };
    const plain = await play((res) => new Promise((resolve) => res.write(bytes, resolve)));
    expectBytes(await play((res) => transfer(res, openFile(file))), plain);
  });
});

test('a socket that is paused, has no delay or is unreferenced is served like any other', async () => {
  const { near, far } = await pair({ unix: true });
  near.pause().unref().setNoDelay(true).setKeepAlive(true);
  const received = readAll(far);
  expect(await transfer(near, openFile(file))).toBe(SIZE);
  near.end();
  expectBytes(await received, bytes);
  await until(() => near.closed || near.writableFinished, 'its end');
});
