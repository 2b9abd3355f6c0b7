'use strict';

/** Node's own methods, as they were when this was loaded, and its own way from a message to its socket. */

const http = require('node:http');
const net = require('node:net');
const { Duplex } = require('node:stream');

const socket = /** @type {any} */ (net.Socket.prototype);
const message = /** @type {any} */ (http.OutgoingMessage.prototype);

/**
 * The socket under a message of HTTP/1.1, also while the message waits behind another. What HTTP/2 shows in its place is
 * a stand-in that is better left alone.
 * @param {any} out
 */
function socketOf(out) {
  return out instanceof http.OutgoingMessage
    ? (out.socket ?? /** @type {any} */ (out).req?.socket)
    : undefined;
}

const { write: messageWrite, _send: messageSend, _writeRaw: messageWriteRaw } = message;

/**
 * A message whose writes go straight to Node: nobody compresses or watches them.
 * @param {any} out
 */
function isPlain(out) {
  return (
    out instanceof http.OutgoingMessage &&
    out.write === messageWrite &&
    /** @type {any} */ (out)._send === messageSend &&
    /** @type {any} */ (out)._writeRaw === messageWriteRaw
  );
}

module.exports = {
  socketOf,
  isPlain,
  emit: message.emit,
  /** A socket's `_write`, `_writev` and `write`. */
  write: /** @type {Function} */ (socket._write),
  writev: /** @type {Function} */ (socket._writev),
  streamWrite: /** @type {Function} */ (Duplex.prototype.write),
  bytesWritten: /** @type {() => number} */ (Object.getOwnPropertyDescriptor(socket, 'bytesWritten')?.get),
};
