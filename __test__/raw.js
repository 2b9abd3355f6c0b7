'use strict';

/**
 * Descriptors for tests of the raw call: opened for one test, and closed after it.
 */

const fs = require('node:fs');
const { openFifo, rawPair, tmpFile } = require('./helpers');

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

module.exports = { atEnd, closeAll, open, fileOf, pair, fifo };
