'use strict';

/**
 * The `send` package's own function with one step of it replaced: the stream that it pipes into the response is taken
 * over, this one alone, as `rs-sendfile/register` does it with all. Everything else is `send`'s own code, of whichever
 * version it is, and every event is its own or Node's.
 */

const { hookOne } = require('./register/hook');

/**
 * @param {any} plain what `require('send')` gives
 * @returns {any} the same for this package
 */
function sendOver(plain) {
  /**
   * @param {any} req
   * @param {string} path
   * @param {object} [options]
   */
  function send(req, path, options) {
    const sending = plain(req, path, options);
    replaceStep(sending);
    return sending;
  }
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(plain))) {
    if (!Object.hasOwn(send, name)) Object.defineProperty(send, name, property);
  }
  return send;
}

/**
 * Of this object alone: the prototype is that of everybody's `send` in the process.
 * @param {any} sending
 */
function replaceStep(sending) {
  const { stream } = sending;
  /**
   * @this {any}
   * @param {any[]} args
   */
  function takenStream(...args) {
    this.prependOnceListener('stream', hookOne);
    return stream.apply(this, args);
  }
  Object.defineProperty(sending, 'stream', { value: takenStream, writable: true, configurable: true });
}

module.exports = { sendOver };
