'use strict';

const { once } = require('node:events');
const net = require('node:net');

const PATIENCE_MS = 10_000;

/**
 * A port of its own for one data connection, which the owner of the control connection opens.
 * @param {import('node:net').Socket} control
 * @returns {Promise<{ port: number, socket: Promise<import('node:net').Socket>, close: () => void }>} `socket` rejects
 *   if nobody comes, or the control connection ends before
 */
async function openPassive(control) {
  const server = net.createServer();
  const gone = new AbortController();
  const close = () => gone.abort();
  const timer = setTimeout(close, PATIENCE_MS);
  control.once('close', close);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const { signal } = gone;
  const socket = once(server, 'connection', { signal })
    .then(([first]) => {
      if (first.remoteAddress === control.remoteAddress) return first;
      first.destroy();
      throw new Error('a stranger has come');
    })
    .finally(() => {
      clearTimeout(timer);
      control.off('close', close);
      server.close();
    });
  // Told to whoever asks for it; nobody may.
  socket.catch(() => {});
  return { port: server.address().port, socket, close };
}

module.exports = { openPassive };
