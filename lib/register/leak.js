'use strict';

/**
 * Node's pipe lets go of a source whose destination has closed, and leaves its file open for ever. Whoever nobody reads
 * any more is closed here.
 */

const { whenClosed } = require('../closing');
const { whenGone } = require('./intake');

/**
 * Closes a stream once the response that it was piped into has closed, unless somebody still wants it.
 * @param {any} stream
 * @param {any} dest
 */
function closeWith(stream, dest) {
  const forget = whenGone(dest, () => {
    if (!stream.destroyed && stream.autoClose !== false && !isWanted(stream)) stream.destroy();
  });
  whenClosed(stream, forget);
}

/** @param {any} stream */
function isWanted(stream) {
  const { pipes } = stream._readableState;
  return pipes.length > 0 || stream.listenerCount('data') > 0 || stream.listenerCount('readable') > 0;
}

module.exports = { closeWith };
