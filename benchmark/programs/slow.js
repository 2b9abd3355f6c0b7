'use strict';

/**
 * Child process: many clients. The line `{ port, path, clients }` connects them, each with its request sent and its first
 * bytes read: `{ failed }`. The line `{ reads, ms }` has them read in turns, so many reads in a second for all together:
 * `{ bytes, ended }`, all that they have read until then.
 */

const net = require('node:net');
const readline = require('node:readline');

const AT_A_TIME = 100;
const TICK_MS = 5;
const LIMIT_MS = 20_000;

/** One for all: no client keeps what it has read. */
const buffer = Buffer.alloc(64 * 1024);
const sockets = [];
let bytes = 0;
let ended = 0;

function connectOne(port, path) {
  return new Promise((resolve) => {
    const callback = (count) => {
      bytes += count;
      resolve(true);
      return false; // reads no more until it is its turn
    };
    const socket = net.connect({ port, host: '127.0.0.1', onread: { buffer, callback } });
    socket.write(`GET /${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
    socket.on('error', () => resolve(false));
    socket.on('close', () => {
      ended++;
      resolve(false);
    });
    sockets.push(socket);
  });
}

async function connect({ port, path, clients }) {
  let failed = 0;
  const late = setTimeout(() => sockets.map((socket) => socket.destroy()), LIMIT_MS);
  for (let i = 0; i < clients; i += AT_A_TIME) {
    const some = Array.from({ length: Math.min(AT_A_TIME, clients - i) }, () => connectOne(port, path));
    failed += (await Promise.all(some)).filter((ok) => !ok).length;
  }
  clearTimeout(late);
  return { failed };
}

async function read({ reads, ms }) {
  const began = performance.now();
  for (let turn = 0, elapsed = 0; elapsed < ms; elapsed = performance.now() - began) {
    for (const due = (elapsed / 1000) * reads; turn < due; turn++) sockets[turn % sockets.length].resume();
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  return { bytes, ended };
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const order = JSON.parse(line);
  console.log(JSON.stringify(await (order.port ? connect(order) : read(order))));
});
lines.on('close', () => process.exit());
