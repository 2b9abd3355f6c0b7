'use strict';

/** Node's own methods, as they were when this was loaded. */

const http = require('node:http');
const net = require('node:net');

const socket = /** @type {any} */ (net.Socket.prototype);

module.exports = {
  /** A socket's `_write`, `_writev` and `write`. */
  write: /** @type {Function} */ (socket._write),
  writev: /** @type {Function} */ (socket._writev),
  streamWrite: /** @type {Function} */ (socket.write),
  bytesWritten: /** @type {() => number} */ (Object.getOwnPropertyDescriptor(socket, 'bytesWritten')?.get),
  /** A response's `write`. */
  messageWrite: http.OutgoingMessage.prototype.write,
};
