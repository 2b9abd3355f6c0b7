'use strict';

/**
 * What HTTP asks of a transfer: no body where there must be none, a Content-Length where nothing else ends the body,
 * and never a byte more or less than was promised on a connection that goes on.
 */

const http = require('node:http');
const errors = require('./errors');
const { byteLength } = require('./piece');
const plain = require('./plain');
const { bodyStartOf, channelOf } = require('./socket-write');

/** @typedef {import('./transfer').Transfer} Transfer */

/**
 * A message of HTTP/1.1, or of HTTP/2's compatibility layer.
 * @param {any} out
 */
function isHttp(out) {
  return (
    out instanceof http.OutgoingMessage ||
    (typeof out.setHeader === 'function' && typeof out.getHeader === 'function' && 'headersSent' in out)
  );
}

/**
 * The message must not have a body: the answer to HEAD, 204 and 304. Node decides it by the request as it came and, once
 * the head is made, by the head's own status, whatever `req.method` and `res.statusCode` say by then; and drops what is
 * written.
 * @param {any} out
 */
function isBodyless(out) {
  if (out instanceof http.ClientRequest) return false;
  if (out instanceof http.OutgoingMessage) {
    const { _hasBody, _header, statusCode } = /** @type {any} */ (out);
    return _hasBody === false || (!_header && isOfNoBody(statusCode));
  }
  const method = out.req?.method ?? (out.stream?.headRequest ? 'HEAD' : undefined);
  return method === 'HEAD' || isOfNoBody(out.statusCode);
}

/**
 * @param {any} statusCode what Node makes a whole number of
 */
function isOfNoBody(statusCode) {
  const status = statusCode | 0;
  return status === 204 || status === 304 || (status >= 100 && status <= 199);
}

/**
 * The body's length that the peer has been or will be told; undefined if none, NaN if it is told something that is no
 * length, or two of them.
 * @param {any} out
 * @returns {number | undefined}
 */
function promised(out) {
  if (out instanceof http.OutgoingMessage && /** @type {any} */ (out)._header) {
    const { chunkedEncoding, _contentLength, _header } = /** @type {any} */ (out);
    if (chunkedEncoding || _contentLength == null) return undefined;
    // Node's own number is what it makes of `1e3`, and the last of two.
    const [found, value] = LENGTHS.exec(_header) ?? [];
    const isOnly = found !== undefined && !LENGTHS.test(_header.slice(_header.indexOf(found) + found.length));
    return isOnly ? lengthOf([value]) : Number.NaN;
  }
  const length = out.getHeader('content-length');
  if (length === undefined || out.getHeader('transfer-encoding') !== undefined) return undefined;
  return lengthOf(Array.isArray(length) ? length : [length]);
}

const LENGTHS = /\r\ncontent-length:([^\r]*)/i;

/**
 * A length as every peer reads it: one row of digits.
 * @param {unknown[]} values
 */
function lengthOf(values) {
  const [text, ...others] = values.map(String);
  return others.length === 0 && /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN;
}

/**
 * Nothing else says where the body ends.
 * @param {any} out
 */
function mayTakeLength(out) {
  return (
    out.getHeader('content-length') === undefined &&
    out.getHeader('transfer-encoding') === undefined &&
    !isOfNoBody(out.statusCode)
  );
}

/**
 * Makes the message ready for a transfer. `true`: it must not have a body.
 * @param {Transfer} transfer
 * @param {boolean} isPlain its writes are known to go straight to Node
 */
function prepare(transfer, isPlain) {
  const { out, bytes } = transfer;
  const bodyless = isBodyless(out);
  if (bytes >= 0 && !transfer.isPart && !out.headersSent && mayTakeLength(out)) {
    plain.setLength(out, bytes);
    transfer.setLength = true;
  }
  if (bodyless) return true;
  const length = transfer.setLength ? bytes : promised(out);
  if (length === undefined) return false;
  if (!isPlain && !(plain.isPlain(out) && isCounting(out))) {
    // What others write cannot be counted here; what we write can.
    const sum = (out[kCounted] ?? 0) + Math.max(bytes, 0);
    if (!(sum <= length)) throw errors.lengthMismatch(sum, length);
    out[kCounted] = sum;
    transfer.counted = Math.max(bytes, 0);
    // How much of it comes to the socket can, as a rule.
    if (out instanceof http.OutgoingMessage) watch(out);
    return false;
  }
  transfer.promised = length;
  // What goes at once, with the head, and is the whole body needs no counting.
  if (length !== bytes) count(transfer);
  return false;
}

/**
 * Has a response's head made, as its own `write` would do now. Whoever hears of that may change what it says. `false`:
 * no body follows it.
 * @param {Transfer} transfer
 */
function makeHead(transfer) {
  const { out } = transfer;
  if (!(out instanceof http.ServerResponse)) return true;
  const message = /** @type {any} */ (out);
  if (message._header) return true;
  message._implicitHeader();
  if (message._hasBody === false) {
    transfer.promised = undefined;
    return false;
  }
  if (isWhole(transfer)) return true;
  transfer.promised = promised(out);
  if (transfer.promised !== undefined) count(transfer);
  return true;
}

/**
 * The socket under a message counts what it is given. A Duplex that a server was handed for a connection does not.
 * @param {any} out
 */
function isCounting(out) {
  const socket = plain.socketOf(out);
  return !socket || socket.bytesWritten !== undefined;
}

/**
 * A transfer is one among other writes of its message's body, or takes more than this turn: all of them are counted.
 * @param {Transfer} transfer
 */
function count(transfer) {
  const { bytes, sent, promised: length = 0 } = transfer;
  // A part of it may have gone out at once.
  const before = (watchOver(transfer).bodyBytes() ?? sent) - sent;
  const all = Math.max(bytes, 0) + before;
  if (!(all <= length)) throw errors.lengthMismatch(all, length);
  // What a source of unknown size gives beyond this is refused when it comes.
  if (bytes < 0) transfer.limit = length - before;
}

/**
 * From here on what becomes of the message is watched.
 * @param {Transfer} transfer
 */
function watchOver(transfer) {
  const ledger = watch(transfer.out);
  transfer.promised = undefined;
  if (transfer.setLength) ledger.set = transfer.bytes;
  return ledger;
}

/**
 * A transfer is just what the head, which has been made, promises.
 * @param {Transfer} transfer
 */
function isWhole({ out, bytes, setLength }) {
  return (setLength && isStill(out, bytes)) || promised(out) === bytes;
}

/**
 * Where a header is still the number that we gave, there is no other of its name.
 * @param {any} out
 * @param {number} length
 */
function isStill(out, length) {
  return out._contentLength === length && out.getHeader('content-length') === length;
}

/**
 * Takes back what was set for a transfer that has not begun: the message is its owner's again.
 * @param {Transfer} transfer
 */
function forget({ out, setLength, counted }) {
  if (counted > 0) out[kCounted] -= counted;
  if (!setLength || out.headersSent) return;
  const { _removedContLen } = out;
  out.removeHeader('Content-Length');
  // Whose Content-Length was taken away by hand is given none by Node either.
  if (_removedContLen === false) out._removedContLen = false;
}

/**
 * Bytes of transfers to a message whose other bytes cannot be counted. This and the ledger are known to all copies of
 * this package in the process: a body may be made by several.
 */
const kCounted = Symbol.for('rs-sendfile counted');

/** A message's ledger: a property of it, as it changes with every request. */
const kLedger = Symbol.for('rs-sendfile ledger');

/**
 * Counts a body's bytes from our first transfer on, so that one that ends short or long never leaves its connection to
 * the next response.
 * @param {any} out
 * @returns {Ledger}
 */
function watch(out) {
  out[kLedger] ??= new Ledger(out);
  return out[kLedger];
}

class Ledger {
  /** @param {any} out */
  constructor(out) {
    this.out = out;
    /** The place in the socket's byte stream at which the head begins, or the body. @type {number | undefined} */
    this.headAt = undefined;
    /** @type {number | undefined} */
    this.bodyAt = undefined;
    /** The Content-Length that we have set. @type {number | undefined} */
    this.set = undefined;
    if (out.socket) this.locate(out.socket);
    // Not by `this`: an object made of a message shares its listeners and has properties of its own.
    else out.on('socket', (/** @type {any} */ socket) => this.onSocket(socket));
    out.on('prefinish', () => this.onPrefinish());
  }

  /** @param {any} socket */
  locate(socket) {
    const { out } = this;
    const now = written(socket);
    if (!out._headerSent) {
      this.headAt = now;
      return;
    }
    const inQueue = bytesAfter(out._header, socket.writableBuffer ?? [], 'chunk');
    if (inQueue !== undefined) {
      this.bodyAt = now - inQueue;
      return;
    }
    if (channelOf(socket)) this.bodyAt = bodyStartOf(out);
  }

  /**
   * It is this response's turn: what it has queued goes to the socket next.
   * @param {any} socket
   */
  onSocket(socket) {
    const { out } = this;
    const now = written(socket);
    if (!out._headerSent) {
      this.headAt = now;
      return;
    }
    const queued = out.outputData;
    const body = bytesAfter(out._header, queued, 'data');
    if (body === undefined) return;
    let all = 0;
    for (const { data, encoding } of queued) all += byteLength(data, encoding);
    this.bodyAt = now + all - body;
  }

  /** Bytes of the body so far; undefined if nobody can tell. @returns {number | undefined} */
  bodyBytes() {
    const { out } = this;
    if (!out._headerSent) return 0;
    if (!out.socket) return bytesAfter(out._header, out.outputData, 'data');
    if (this.bodyAt === undefined && this.headAt !== undefined) {
      this.bodyAt = this.headAt + Buffer.byteLength(out._header, 'latin1');
    }
    return this.bodyAt === undefined ? undefined : written(out.socket) - this.bodyAt;
  }

  promised() {
    const { out, set } = this;
    return set !== undefined && isStill(out, set) ? set : promised(out);
  }

  /** All of the message has been handed to the socket. */
  onPrefinish() {
    const { out } = this;
    const length = this.promised();
    if (length === undefined || isBodyless(out)) return;
    // Where nobody can tell whether the promise was kept, the connection is not trusted with another response.
    const bytes = isCounting(out) ? this.bodyBytes() : out[kCounted];
    if (bytes === length) return;
    if (out instanceof http.ClientRequest) out.shouldKeepAlive = false;
    else out._last = true;
  }
}

/**
 * Bytes given to a socket so far, with those in its queue.
 * @param {any} socket
 */
function written(socket) {
  const channel = channelOf(socket);
  if (!channel) return socket.bytesWritten ?? 0;
  let bytes = channel.passed;
  if (socket.writableLength === 0) return bytes;
  for (const { chunk, encoding } of socket.writableBuffer ?? []) bytes += byteLength(chunk, encoding);
  return bytes;
}

/**
 * Bytes in a queue behind a message's head; undefined if the head is not in it.
 * @param {string} header
 * @param {any[]} queue
 * @param {'chunk' | 'data'} field
 */
function bytesAfter(header, queue, field) {
  let bytes;
  for (const entry of queue) {
    const data = entry[field];
    if (bytes !== undefined) bytes += byteLength(data, entry.encoding);
    else if (typeof data === 'string' && data.startsWith(header)) {
      bytes = Buffer.byteLength(data, entry.encoding) - Buffer.byteLength(header, entry.encoding);
    }
  }
  return bytes;
}

/** Ends a message and its connection without raising anybody's 'error'. @param {any} out */
function destroy(out) {
  if (out.stream && typeof out.stream.close === 'function' && !(out instanceof http.OutgoingMessage)) {
    out.stream.destroy();
    return;
  }
  const socket = out.socket ?? out.req?.socket;
  out.destroy();
  socket?.destroy();
}

module.exports = {
  isHttp,
  isBodyless,
  prepare,
  makeHead,
  count,
  watchOver,
  forget,
  destroy,
};
