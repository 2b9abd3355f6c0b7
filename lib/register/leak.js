'use strict';

/**
 * Node's pipe lets go of a source whose destination has closed, and leaves its file open for ever. A file that nobody
 * reads any more is closed here.
 */

const { whenClosed } = require('../closing');
const { socketOf } = require('../plain');

/**
 * Nothing will be read for this response any more.
 * @param {any} dest
 */
function isDead(dest) {
  return dest.closed || dest.destroyed || dest.writableFinished || socketOf(dest)?.destroyed === true;
}

/** @param {any} stream */
function isWanted(stream) {
  const { pipes } = stream._readableState;
  const isLive = (/** @type {any} */ dest) => !isDead(dest);
  // Each pipe has a listener of its own.
  const isHeard = stream.listenerCount('data') > pipes.length || stream.listenerCount('readable') > 0;
  return isHeard || pipes.some(isLive);
}

/**
 * In a turn of its own: whoever hears of the response's end may still pipe the stream elsewhere.
 * @param {any} stream
 */
function closeSoon(stream) {
  if (stream.destroyed || stream.autoClose === false) return;
  setImmediate(() => {
    if (!stream.destroyed && !isWanted(stream)) stream.destroy();
  });
}

/**
 * A response that waits behind another hears of its connection's end by nobody, and its pipe does not either.
 * @param {any} stream
 * @param {any} dest
 */
function watchConnection(stream, dest) {
  const socket = dest.socket ? null : socketOf(dest);
  if (!socket) return;
  const forget = whenClosed(socket, () => closeSoon(stream));
  whenClosed(stream, forget);
}

module.exports = { isDead, closeSoon, watchConnection };
