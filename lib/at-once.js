'use strict';

/**
 * A response's head and a file that is in memory, in one native call and in this turn, where nothing else is to go
 * first: no queue, no cork, no callback. What does not fit goes the usual way, from there on.
 */

const http = require('node:http');
const { METHODS, native } = require('./native');
const plain = require('./plain');

/** @typedef {import('./transfer').Transfer} Transfer */

/** Up to here the native side sends in the turn of the call. */
const MOST = 1024 * 1024;

const report = new Float64Array(7);

/**
 * All that was given to the response and its socket is out, and its head, which is made, goes next.
 * @param {any} out
 * @param {any} socket
 */
function isIdle(out, socket) {
  return (
    !out._headerSent &&
    out.outputData.length === 0 &&
    !(out.writableCorked > 0) &&
    socket._httpMessage === out &&
    socket.writableLength === 0 &&
    !(socket.writableCorked > 0) &&
    !socket.connecting &&
    !socket.destroyed &&
    !socket.writableEnded &&
    socket._handle?.writeQueueSize === 0
  );
}

/**
 * So many bytes would make Node say 'drain' once they are out, to somebody who listens.
 * @param {any} out
 * @param {any} socket
 * @param {number} bytes
 */
function isHeard(out, socket, bytes) {
  if (bytes < socket.writableHighWaterMark) return false;
  if (out.emit !== plain.emit || socket.emit !== plain.emit) return true;
  // Node's own listener goes with the parser, when the socket is upgraded.
  const own = socket.parser ? 1 : 0;
  return out.listenerCount('drain') > 0 || socket.listenerCount('drain') > own;
}

/**
 * Sends as much as goes at once. Returns how many bytes of the transfer are out.
 * @param {Transfer} transfer
 * @param {any} socket
 * @param {import('./socket-write').Channel} channel
 */
function sendAtOnce(transfer, socket, channel) {
  const { out, source, length, offset, options } = transfer;
  if (!(out instanceof http.ServerResponse) || native === null || source === null || transfer.inJs) return 0;
  if (length > MOST || transfer.bytes !== length || !isIdle(out, socket)) return 0;
  const message = /** @type {any} */ (out);
  const head = message._header;
  // Node counts what goes through it.
  if (message.chunkedEncoding || message.strictContentLength) return 0;
  if (isHeard(out, socket, head.length + length)) return 0;
  // Whoever moves the file's position, or reads it, needs it after this.
  const spare = source.isSpare && !Number.isNaN(options.offset);
  const { fd } = socket._handle;
  const method = METHODS[options.method];
  if (native.sendNow(fd, source.id, offset, length, head, method, spare, report)) source.released();
  const [, sent, , calls, , copied, refusal] = report;
  if (sent === 0) return 0;
  message._headerSent = true;
  socket._unrefTimer?.();
  channel.sentPast(sent, message, head.length);
  transfer.calls += calls;
  if (copied) transfer.copied(refusal);
  if (sent < head.length) socket.write(head.slice(sent), 'latin1');
  transfer.sent = Math.max(0, sent - head.length);
  return transfer.sent;
}

module.exports = { sendAtOnce };
