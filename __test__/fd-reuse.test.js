'use strict';

const crypto = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { sendfile, transfer } = require('..');
const { listen, tmpFile } = require('./helpers');
const { closeAll, keep } = require('./streams');

afterEach(closeAll);

const LANES = 8;
/** Connections of a lane: enough of them that without the duplicates some get another's bytes, every time. */
const ROUNDS = { calls: 200, transfers: 80 };
const SIZE = 256 * 1024;
const TAGS = 16;
/** Files that hold nothing but their own number. */
const files = Array.from({ length: TAGS }, (_, tag) => tmpFile(Buffer.alloc(SIZE, tag + 1)));

/** A server that gives every connection the tag it asks for, and clients that say what else they have received. */
async function arena(onConnection) {
  const server = keep(net.createServer());
  const port = await listen(server);
  let bytes = 0;
  const strays = [];
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => onConnection(socket, data[0] - 1));
  });
  /** One connection: resolves once it is closed. */
  async function client(tag) {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(Buffer.of(tag + 1)));
    socket.on('error', () => {});
    socket.on('data', (data) => {
      bytes += data.length;
      if (!data.equals(Buffer.alloc(data.length, tag + 1))) strays.push({ tag, got: [...new Set(data)] });
    });
    await once(socket, 'close');
  }
  return { client, strays, received: () => bytes };
}

/** Keeps 8 connections going, one after the other. */
async function churn(client, rounds) {
  const line = async (first) => {
    for (let round = 0; round < rounds; round++) await client((first + 3 * round) % TAGS);
  };
  await Promise.all(Array.from({ length: LANES }, (_, first) => line(first)));
}

test('calls whose fds are closed at once, and reused, send to nobody else', async () => {
  let calls = 0;
  const { client, strays, received } = await arena((socket, tag) => {
    // The pool is busy: the call waits there while its numbers get other meanings.
    crypto.pbkdf2('a', 'b', 2000, 32, 'sha256', () => {});
    const fd = fs.openSync(files[tag]);
    calls++;
    sendfile(socket._handle.fd, fd, 0, SIZE).catch(() => {});
    fs.closeSync(fd);
    socket.destroy();
  });
  await churn(client, ROUNDS.calls);
  expect(strays).toEqual([]);
  expect(calls).toBe(LANES * ROUNDS.calls);
  expect(received()).toBeGreaterThan(0);
});

describe('transfers whose fds are closed at once, and reused, send to nobody else', () => {
  const endings = {
    'and that are waited for': (socket, sending) => sending.then(() => socket.end()).catch(() => {}),
    'and that are ended under way': (socket, sending) => {
      sending.catch(() => {});
      setImmediate(() => socket.destroy());
    },
    'and that are aborted': (socket, sending, controller) => {
      sending.catch(() => socket.destroy());
      sending.then(() => socket.end()).catch(() => {});
      setImmediate(() => controller.abort());
    },
  };
  for (const [name, end] of Object.entries(endings)) {
    test(`${name}`, async () => {
      let calls = 0;
      const { client, strays, received } = await arena((socket, tag) => {
        const controller = new AbortController();
        const fd = fs.openSync(files[tag]);
        calls++;
        // Past what is sent at once on this thread: the engine's threads have it.
        const sending = Promise.all([
          transfer(socket, fd, { signal: controller.signal, headers: Buffer.alloc(100_000, tag + 1) }),
          transfer(socket, fd, { signal: controller.signal, method: 'copy' }),
          transfer(socket, files[tag], { signal: controller.signal }),
        ]);
        fs.closeSync(fd);
        // Another file takes the number at once.
        const other = fs.openSync(files[(tag + 1) % TAGS]);
        setImmediate(() => fs.closeSync(other));
        end(socket, sending, controller);
      });
      await churn(client, ROUNDS.transfers);
      expect(strays).toEqual([]);
      expect(calls).toBe(LANES * ROUNDS.transfers);
      expect(received()).toBeGreaterThan(0);
    });
  }
});
