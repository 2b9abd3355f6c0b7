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

/** Where a message keeps its headers: undefined if it keeps them otherwise than in `{ name: [Name, value] }`. */
const kHeaders = findHeaders();

function findHeaders() {
  const probe = /** @type {any} */ (new http.OutgoingMessage());
  const isPlace = (/** @type {symbol} */ key) => key.description === 'kOutHeaders' && probe[key] === null;
  const key = Object.getOwnPropertySymbols(probe).find(isPlace);
  if (!key) return undefined;
  probe.setHeader('Name', 1);
  const headers = probe[key];
  const [name, value, ...rest] = headers?.name ?? [];
  const isKnown = Object.getPrototypeOf(headers) === null && Object.keys(headers).length === 1;
  return isKnown && name === 'Name' && value === 1 && rest.length === 0 ? key : undefined;
}

const { setHeader } = message;

/**
 * `setHeader('Content-Length', bytes)`, without its search where it is a message's first header: V8 is slow to add a
 * first property to an object that has no prototype, as slow as all the rest of a small response.
 * @param {any} out
 * @param {number} bytes
 */
function setLength(out, bytes) {
  if (kHeaders && out[kHeaders] === null && out.setHeader === setHeader && !out._header) {
    // @ts-ignore: no prototype is what `setHeader` gives it
    out[kHeaders] = { __proto__: null, 'content-length': ['Content-Length', bytes] };
  } else {
    out.setHeader('Content-Length', bytes);
  }
}

module.exports = {
  socketOf,
  isPlain,
  setLength,
  emit: message.emit,
  /** A socket's `_write`, `_writev` and `write`. */
  write: /** @type {Function} */ (socket._write),
  writev: /** @type {Function} */ (socket._writev),
  streamWrite: /** @type {Function} */ (Duplex.prototype.write),
  bytesWritten: /** @type {() => number} */ (Object.getOwnPropertyDescriptor(socket, 'bytesWritten')?.get),
};
