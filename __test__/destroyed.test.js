'use strict';

/**
 * A socket that is destroyed under a transfer, by whatever call and in whatever state: the peer sees the end at once,
 * the promise rejects with the right count, and no descriptor and no thread stays with it.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { Worker } = require('node:worker_threads');
const { transfer } = require('..');
const { listen, openFds, readAll, readBytes, tmpFile, tmpPath, until } = require('./helpers');
const { closeAll, failure, keep, openFile, pair, settled, underWay } = require('./streams');
const { expectCounted, HELD } = require('./ways');

const onLinux = process.platform === 'linux' ? describe : describe.skip;

afterEach(closeAll);

/** More than any socket's buffers hold. */
const SIZE = 256 << 20;
const huge = tmpFile('');
fs.truncateSync(huge, SIZE);

/** The descriptors of this process that are the same socket as this one, duplicates included. */
function socketsLike(name) {
  return [...openFds().values()].filter((what) => what === name).length;
}

function nameOf(socket) {
  return fs.readlinkSync(`/proc/self/fd/${socket._handle.fd}`);
}

/** How many descriptors the socket has; then destroys it, and waits until it has none. */
async function heldUntil(socket, destroy) {
  const name = nameOf(socket);
  const held = socketsLike(name);
  destroy();
  await until(() => socketsLike(name) === 0, 'all of its descriptors to be closed');
  return held;
}

const ways = {
  'socket.destroy()': (near) => near.destroy(),
  'socket.destroy(error)': (near) => near.destroy(new Error('mine')),
  'socket.resetAndDestroy()': (near) => near.resetAndDestroy(),
};

onLinux('a socket that is destroyed while its transfer waits for it to take bytes', () => {
  test.each(Object.entries(ways))('by %s', async (name, destroy) => {
    const isReset = name === 'socket.resetAndDestroy()';
    const { near, far } = await pair({ unix: !isReset });
    const sending = failure(transfer(near, openFile(huge)));
    const next = failure(transfer(near, huge));
    await underWay(near);
    expect(await heldUntil(near, () => destroy(near))).toBe(HELD);
    const error = await sending;
    expect(error.code).toBe('ERR_STREAM_PREMATURE_CLOSE');
    expect(error.bytesSent).toBe(near.bytesWritten);
    expect(error.bytesSent).toBeLessThan(SIZE);
    expect(await next).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
    // Of a reset Node's peer sees what had come before it, and then an error or an end, by chance.
    const received = await readAll(far).catch(({ code }) => ({ code }));
    if (name === 'socket.resetAndDestroy()')
      expect(received.length ?? 0).toBeLessThanOrEqual(error.bytesSent);
    else expectCounted(received.length, error.bytesSent);
  });
});

onLinux('a socket that is destroyed while other writes are before its transfer', () => {
  test.each(Object.entries(ways))('by %s', async (_name, destroy) => {
    const { near, far } = await pair();
    near.write(Buffer.alloc(32 << 20));
    const sending = [failure(transfer(near, openFile(huge))), failure(transfer(near, huge))];
    await readBytes(far, 1000);
    expect(await heldUntil(near, () => destroy(near))).toBe(1);
    for (const error of await Promise.all(sending)) {
      expect(error).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
    }
    const received = await readAll(far).catch(({ code }) => ({ code }));
    expect(received.length ?? 0).toBeLessThan(32 << 20);
  });
});

onLinux('a socket that is destroyed while a thread is sending', () => {
  /** A peer on a thread of its own, which reads as fast as it can and says how much there was. */
  const reader = `
    const { parentPort, workerData } = require('node:worker_threads');
    const socket = require('node:net').connect(workerData);
    const buffer = Buffer.alloc(1 << 20);
    let bytes = 0;
    let told = false;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (!told && bytes > 4 << 20) parentPort.postMessage('going');
      told ||= bytes > 4 << 20;
    });
    socket.on('error', () => {});
    socket.on('close', () => parentPort.postMessage(bytes));
  `;

  // A reset is TCP's alone, and its bytes cannot be counted.
  test.each(Object.entries(ways).slice(0, 2))('by %s, 10 times', async (_name, destroy) => {
    for (let round = 0; round < 10; round++) {
      const server = keep(net.createServer());
      const path = await listen(server, { path: tmpPath('socket') });
      const worker = new Worker(reader, { eval: true, workerData: path });
      const messages = [];
      worker.on('message', (message) => messages.push(message));
      const [near] = await once(server, 'connection');
      near.on('error', () => {});
      const sending = failure(transfer(near, openFile(huge)));
      await until(() => messages.length === 1, 'the peer to be reading');
      expect(await settled(sending)).toBe(false);
      const name = nameOf(near);
      destroy(near);
      const error = await sending;
      expect(error.code).toBe('ERR_STREAM_PREMATURE_CLOSE');
      await until(() => messages.length === 2, 'the peer to see the end');
      expectCounted(messages[1], error.bytesSent);
      expect(error.bytesSent).toBeLessThan(SIZE);
      expect(socketsLike(name)).toBe(0);
      await worker.terminate();
    }
  });
});

onLinux('a response that is destroyed under its transfer', () => {
  const framings = {
    'with a Content-Length': () => {},
    chunked: (res) => res.writeHead(200, { 'Transfer-Encoding': 'chunked' }),
  };
  const ends = {
    'res.destroy()': (res) => res.destroy(),
    'res.socket.destroy()': (res) => res.socket.destroy(),
    'req.destroy()': (_res, req) => req.destroy(),
    'server.closeAllConnections()': (_res, _req, server) => server.closeAllConnections(),
  };
  const table = Object.keys(framings).flatMap((framing) => Object.keys(ends).map((end) => [framing, end]));

  test.each(table)('%s, by %s', async (framing, end) => {
    const server = keep(http.createServer());
    const port = await listen(server);
    const client = keep(net.connect(port, '127.0.0.1'));
    client.on('error', () => {});
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [req, res] = await once(server, 'request');
    const { socket } = res;
    framings[framing](res);
    const sending = failure(transfer(res, openFile(huge)));
    await underWay(socket, 1000);
    expect(await heldUntil(socket, () => ends[end](res, req, server))).toBe(HELD);
    const error = await sending;
    expect(error.code).toBe('ERR_STREAM_PREMATURE_CLOSE');
    const received = await readAll(client);
    const head = received.indexOf('\r\n\r\n') + 4;
    // The length of the one chunk, and its line's end.
    const frame = framing === 'chunked' ? received.indexOf('\r\n', head) + 2 - head : 0;
    expectCounted(received.length - head - frame, error.bytesSent);
  });
});
