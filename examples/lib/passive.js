'use strict';

const { once } = require('node:events');
const net = require('node:net');

const PATIENCE_MS = 10_000;

/**
 * A port of its own for one data connection, which the owner of the control connection opens.
 * @param {import('node:net').Socket} control
 * @returns {Promise<{ port: number, socket: Promise<import('node:net').Socket>, close: () => void }>} `socket` rejects
 *   if nobody comes; `close` ends it, or the wait for it
 */
async function openPassive(control) {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();

  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), PATIENCE_MS);
  const socket = once(server, 'connection', { signal: waiting.signal })
    .then(([first]) => {
      if (first.remoteAddress === control.remoteAddress) return first;
      first.destroy();
      throw new Error('a stranger has come');
    })
    .finally(() => {
      clearTimeout(timer);
      server.close();
    });
  const close = () => {
    waiting.abort();
    socket.then((one) => one.destroy()).catch(() => {});
  };
  // Its rejection is told to whoever asks for the socket; nobody may.
  socket.catch(() => {});
  return { port, socket, close };
}

module.exports = { openPassive };
