'use strict';

/**
 * Descriptors for tests of the raw call: opened for one test, and closed after it.
 */

const fs = require('node:fs');
const { openFifo, rawPair, tmpFile } = require('./helpers');

/** Threads of libuv's pool. */
const POOL = Number(process.env.UV_THREADPOOL_SIZE ?? 4);

let ends = [];

/** Does this after the test, before what was asked for earlier. */
function atEnd(end) {
  ends.push(end);
}

/** For `afterEach`. */
async function closeAll() {
  for (const end of ends.reverse()) await end();
  ends = [];
}

/** Opens a file for one test, which must not close it. */
function open(path, flags = 'r') {
  const fd = fs.openSync(path, flags);
  atEnd(() => fs.closeSync(fd));
  return fd;
}

/** The fd of a file with these bytes. */
function fileOf(content) {
  return open(tmpFile(content));
}

async function pair(options = { unix: true }) {
  const sockets = await rawPair(options);
  atEnd(() => {
    sockets.near.destroy();
    sockets.far.destroy();
  });
  return sockets;
}

/** The fd of a FIFO, open both ways. */
function fifo() {
  const { fd } = openFifo();
  atEnd(() => fs.closeSync(fd));
  return fd;
}

/**
 * Occupies every thread of libuv's pool until the returned function is called, or the test is over: what is given to
 * the pool meanwhile waits.
 */
async function occupyPool() {
  const pipes = Array.from({ length: POOL }, openFifo);
  // Nobody has them open: opening one for reading waits for a writer.
  for (const { fd } of pipes) fs.closeSync(fd);
  const opened = Promise.all(pipes.map(({ path }) => fs.promises.open(path, 'r')));
  let released;
  const release = async () => {
    const writers = pipes.map(({ path }) => fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK));
    for (const handle of await opened) await handle.close();
    for (const fd of writers) fs.closeSync(fd);
  };
  const once = () => (released ??= release());
  atEnd(once);
  return once;
}

module.exports = { atEnd, closeAll, open, fileOf, pair, fifo, occupyPool, POOL };
