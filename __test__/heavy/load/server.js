'use strict';

/**
 * A process that serves one file to whoever connects, as the body of a response and on bare sockets, does work beside
 * that, and tells how it is. Asked by messages.
 */

const crypto = require('node:crypto');
const dns = require('node:dns');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { promisify } = require('node:util');
const { transfer } = require('../../..');
const { answers } = require('../../processes');

/** Between two looks at what cannot be awaited. */
const LOOK_MS = 100;
const PATIENCE_MS = 60_000;

let running = 0;
let failed = 0;
let done = 0;
const sockets = new Set();

async function send(out, file) {
  running++;
  try {
    await transfer(out, file);
    done++;
    out.end();
  } catch {
    failed++;
    out.destroy();
  } finally {
    running--;
  }
}

async function until(check, what) {
  const end = performance.now() + PATIENCE_MS;
  while (!check()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What a program does on libuv's pool beside its transfers. */
const jobs = {
  'fs.stat': () => fs.promises.stat(__filename),
  'fs.readFile': () => fs.promises.readFile(__filename),
  'dns.lookup': () => dns.promises.lookup('localhost'),
  'crypto.pbkdf2': () => promisify(crypto.pbkdf2)('secret', 'salt', 500, 32, 'sha256'),
};

const countFds = () => fs.readdirSync('/proc/self/fd').length;

answers({
  /** Listens on two unix sockets: their buffers are small. */
  async listen({ file, responses, sockets: bare }) {
    const listening = (server, path) =>
      new Promise((resolve) => {
        // The longest backlog that there is: a client that finds it full is refused.
        server.on('connection', (socket) => {
          sockets.add(socket);
          socket.on('error', () => {}).on('close', () => sockets.delete(socket));
        });
        server.listen({ path, backlog: 4096 }, resolve);
      });
    await listening(
      http.createServer((_req, res) => send(res, file)),
      responses,
    );
    await listening(
      net.createServer((socket) => send(socket, file)),
      bare,
    );
  },
  /** So many transfers are running, and no byte has moved since the last look: their sockets are full. */
  async allWaiting(count) {
    let before = -1;
    await until(() => {
      let now = 0;
      if (running === count) for (const socket of sockets) now += socket.bytesWritten;
      const still = running === count && now === before;
      before = now;
      return still;
    }, `${count} transfers that wait; ${running} are running`);
  },
  /** No more descriptors are open than so many. */
  noneOpen: (fds) => until(() => countFds() <= fds, `${countFds()} descriptors to become ${fds}`),
  state: () => ({
    running,
    failed,
    done,
    threads: fs.readdirSync('/proc/self/task').length,
    fds: countFds(),
  }),
  /** Does each job in turn, for so long: how long each took, in ms. */
  async work({ ms }) {
    const times = Object.fromEntries(Object.keys(jobs).map((name) => [name, []]));
    const end = performance.now() + ms;
    while (performance.now() < end) {
      for (const [name, job] of Object.entries(jobs)) {
        const began = performance.now();
        await job();
        times[name].push(performance.now() - began);
      }
    }
    return times;
  },
});
