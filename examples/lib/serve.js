'use strict';

/** What every example does around its server. */

const fs = require('node:fs');
const path = require('node:path');

const PATIENCE_MS = 5000;

/**
 * Listens on 127.0.0.1 alone, then calls `ready` with the port. A port that cannot be had ends the process.
 * @param {import('node:net').Server} server
 * @param {number} port 0 takes any free one
 * @param {(port: number) => void} ready
 */
function listen(server, port, ready) {
  server.once('error', (err) => refuse(port, err));
  server.listen(port, '127.0.0.1', () => ready(/** @type {any} */ (server.address()).port));
}

/** @returns {never} */
function refuse(port, err) {
  const why =
    { EADDRINUSE: 'is in use', EACCES: 'needs more rights' }[err.code] ?? `cannot be used: ${err.message}`;
  console.error(`Port ${port} ${why}; choose another one with --port N.`);
  process.exit(1);
}

/** The one line at the start of an example. */
function announce(name, root, command) {
  console.log(`${name}: ${root} (Ctrl-C stops it); try: ${command}`);
}

/**
 * Ends cleanly by SIGINT and SIGTERM: `close` lets go of whatever keeps the process.
 * @param {() => unknown} close
 */
function endOnSignal(close) {
  let ending = false;
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      close();
      setTimeout(() => {
        console.error('something has not ended in time'); // a file system that hangs
        process.exit(1);
      }, PATIENCE_MS).unref();
    });
  }
}

/** An HTTP server lets go of its connections; the transfers on them reject. */
function closeServer(server) {
  server.close();
  server.closeAllConnections();
}

/** Sockets of a server that is not HTTP: none stays idle for ever, and none that fails ends the process. */
function peersOf(idle) {
  const sockets = new Set();
  return {
    add(socket) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
      socket.setTimeout(idle, () => socket.destroy());
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A file of `root` to try, as a URL has it and a shell takes it; empty if there is none. */
function sampleOf(root) {
  const names = fs
    .readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
  return encode(names.find((name) => /^readme/i.test(name)) ?? names[0] ?? '');
}

function encode(name) {
  return encodeURIComponent(name).replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}

/** The first video in `root`, if there is one. */
function videoOf(root) {
  const name = fs.readdirSync(root).find((one) => /^[^.].*\.(mp4|webm|mkv|mov)$/i.test(one));
  return name && path.join(root, name);
}

module.exports = { announce, closeServer, encode, endOnSignal, listen, peersOf, refuse, sampleOf, videoOf };
