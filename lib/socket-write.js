'use strict';

/**
 * A transfer as a write in the socket's own queue.
 *
 * A marker chunk goes through `stream.write` like any other. The socket's `_write` and `_writev`, wrapped once a
 * socket, know it by identity, do the transfer when its turn comes, and call back when it is done. So earlier writes
 * come first, and later ones, `end`, `cork`, 'drain' and 'finish' follow from Node's own machinery.
 *
 * The marker has the true length: it is a piece of one large buffer that nobody touches. So Node itself counts right:
 * backpressure, chunked framing, strictContentLength, 'finish'.
 */

const http = require('node:http');
const net = require('node:net');
const { sendAtOnce } = require('./at-once');
const { Batch } = require('./batch');
const { whenClosed } = require('./closing');
const errors = require('./errors');
const { byteLength, isCopy, isForeign, kPiece, MARKER_MAX, markerOf } = require('./piece');
const plain = require('./plain');

/**
 * @typedef {import('./transfer').Transfer} Transfer
 * @typedef {import('./piece').Piece} Piece
 */

/** A socket's channel. */
const kChannel = Symbol('rs-sendfile channel');

/**
 * What is known of a message, as properties of its own: an idle connection must not hold on to the last one.
 *
 * Where its body began in the socket's bytes, once its head has come by.
 */
const kBodyStart = Symbol('rs-sendfile body');
/** It has had all of its body at once, and nobody counts its bytes. */
const kWhole = Symbol('rs-sendfile whole');

/** One for all sockets: V8 keeps an object's shape, with its accessors, until the next collection of old garbage. */
const BYTES_WRITTEN = {
  configurable: true,
  /** @this {any} */
  get() {
    const channel = /** @type {Channel} */ (this[kChannel]);
    return plain.bytesWritten.call(this) + channel.bypassed + channel.taken() - channel.queued();
  },
};

/** What we know of one socket. */
class Channel {
  /** @param {any} socket */
  constructor(socket) {
    this.socket = socket;
    this.keepsLine = false;
    /** Transfers whose markers are in the queue. @type {Set<Transfer>} */
    this.transfers = new Set();
    /** How many of them keep the socket's 'error' from being unheard. */
    this.muted = 0;
    /** Pieces whose markers have not come to the socket yet, in order. @type {Piece[]} */
    this.pending = [];
    /** What `_write` or `_writev` is busy with. @type {Batch | null} */
    this.batch = null;
    /** Bytes that have come to `_write` so far. */
    this.passed = socket._handle?.bytesWritten ?? 0;
    /** Bytes that went out past Node's handle. */
    this.bypassed = 0;
    this.onClose = this.onClose.bind(this);
    socket.on('close', this.onClose);
    const write = define(
      socket,
      '_write',
      (/** @type {any} */ chunk, /** @type {any} */ encoding, /** @type {any} */ done) => {
        if (chunk[kPiece]) return new Batch(this, [{ chunk, encoding }], done).run();
        if (this.isForged(chunk, encoding)) return this.refuse(done);
        this.pass(chunk, encoding);
        return plain.write.call(socket, chunk, encoding, done);
      },
    );
    const writev = define(socket, '_writev', (/** @type {any} */ chunks, /** @type {any} */ done) => {
      const isForged = (/** @type {any} */ entry) => this.isForged(entry.chunk, entry.encoding);
      if (chunks.some(isForged)) return this.refuse(done);
      if (chunks.some(isMarker)) return new Batch(this, chunks, done).run();
      for (const { chunk, encoding } of chunks) this.pass(chunk, encoding);
      return plain.writev.call(socket, chunks, done);
    });
    /** Ours, to see later whether they still stand. */
    this.write = write;
    this.writev = writev;
    Object.defineProperty(socket, 'bytesWritten', BYTES_WRITTEN);
  }

  /**
   * A chunk comes to the socket: counts it, and notes where a response's body begins.
   * @param {any} chunk
   * @param {any} encoding
   */
  pass(chunk, encoding) {
    const message = this.socket._httpMessage;
    if (message && message[kBodyStart] === undefined && typeof chunk === 'string') {
      const header = message._header;
      if (header && chunk.startsWith(header)) {
        message[kBodyStart] = this.passed + Buffer.byteLength(header, encoding);
      }
    }
    const bytes = byteLength(chunk, encoding);
    this.passed += bytes;
    // More than was promised: the connection must not go on to another response.
    if (message?.[kWhole] && bytes > 0) message._last = true;
  }

  /**
   * Bytes have gone out past the socket's queue: a response's head, and what follows it.
   * @param {number} bytes
   * @param {any} message
   * @param {number} headLength
   */
  sentPast(bytes, message, headLength) {
    message[kBodyStart] = this.passed + headLength;
    this.bypassed += bytes;
    this.passed += bytes;
  }

  /**
   * A marker is not on its way any more.
   * @param {Piece} piece
   */
  arrived(piece) {
    const place = this.pending.indexOf(piece);
    if (place >= 0) this.pending.splice(place, 1);
  }

  /**
   * While a marker is on its way: this may be what somebody has made of it. Or it is one that has come to the wrong one
   * of two copies of this package.
   * @param {any} chunk
   * @param {any} encoding
   */
  isForged(chunk, encoding) {
    if (isForeign(chunk)) return true;
    if (this.pending.length === 0 || chunk[kPiece] !== undefined) return false;
    return this.isOvertaken() || isCopy(chunk, encoding);
  }

  /** Somebody has come to stand above us. */
  isOvertaken() {
    const { socket } = this;
    // Node itself replaces the `write` of a socket whose peer has ended.
    const isOwn = socket.write === plain.streamWrite || socket.readableEnded;
    return !isOwn || socket._write !== this.write || socket._writev !== this.writev;
  }

  /**
   * The bytes of a marker are nobody's: they must not go out, and the place of the file's own is lost.
   * @param {(error: Error) => void} done
   */
  refuse(done) {
    for (const transfer of this.transfers) this.drop(transfer, errors.prematureClose(errors.chunkCopied()));
    this.socket.destroy();
    done(errors.streamDestroyed('write'));
  }

  /** Bytes that a running transfer has put out and nobody has counted yet. */
  moving() {
    return this.batch?.moving() ?? 0;
  }

  /** Bytes of chunks that have been taken out of the queue, as Node counts them: a piece's as they leave. */
  taken() {
    return this.batch?.taken() ?? 0;
  }

  /** Bytes of markers in the queue, which Node takes for written: none of them has left. */
  queued() {
    if (this.pending.length === 0) return 0;
    let bytes = 0;
    for (const { chunk } of this.socket.writableBuffer ?? []) if (chunk[kPiece]) bytes += chunk.length;
    return bytes;
  }

  /** @param {Transfer} transfer */
  movingOf(transfer) {
    return this.batch?.movingOf(transfer) ?? 0;
  }

  /** @param {Transfer} transfer */
  waitsOf(transfer) {
    return this.batch?.waitsOf(transfer) ?? 0;
  }

  idle() {
    return this.batch?.idle() ?? 0;
  }

  /** Grows whenever a byte leaves. */
  pulse() {
    const handle = this.socket._handle;
    return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0) + this.bypassed + this.moving();
  }

  onClose() {
    const cause = this.socket.errored;
    this.batch?.close(cause);
    for (const transfer of this.transfers) {
      if (!this.batch?.carries(transfer)) this.drop(transfer, errors.prematureClose(cause));
    }
  }

  /** @param {Transfer} transfer */
  add(transfer) {
    this.transfers.add(transfer);
    // An unheard 'error' would end the process although the caller hears of it by the promise. A server's response
    // needs none: its socket has the server's listener.
    const { out } = transfer;
    if (out instanceof http.ClientRequest) out.on('error', noop);
    else if (!transfer.isHttp && this.muted++ === 0) this.socket.on('error', noop);
  }

  /** @param {Transfer} transfer */
  remove(transfer) {
    if (!this.transfers.delete(transfer)) return;
    if (transfer.isHttp) transfer.out.off('error', noop);
    else if (--this.muted === 0) this.socket.off('error', noop);
  }

  /**
   * @param {Transfer} transfer
   * @param {Error & { code: string }} error
   * @param {boolean} [survives] the socket goes on. Otherwise it tells its own error in a later turn, and that stays
   *   muted.
   */
  drop(transfer, error, survives = false) {
    transfer.fail(error);
    if (survives) this.remove(transfer);
    else this.transfers.delete(transfer);
  }

  /**
   * Ends one transfer with this error, by a signal or a timeout.
   * @param {Transfer} transfer
   * @param {Error & { code: string }} error
   */
  stop(transfer, error) {
    if (this.batch?.stop(transfer, error)) return;
    const spare = !transfer.isHttp && transfer.sent === 0 && error.code === 'ABORT_ERR';
    this.drop(transfer, error, spare);
    // Its markers stay in the queue; once their turn comes they are passed over.
    if (!spare) destroy(transfer.out);
  }
}

function noop() {}

/** @param {any} out */
function destroy(out) {
  out.destroy();
  if (out instanceof http.ServerResponse && !out.socket) cutLater(out);
}

/**
 * A response that was destroyed while it waited behind another. Node 26 drops what it had corked and sends the rest, as
 * if it were whole: once it has the connection, that ends.
 * @param {any} out
 */
function cutLater(out) {
  out.once('socket', (/** @type {any} */ socket) => socket.destroy());
}

/** @param {{ chunk: any }} entry */
function isMarker({ chunk }) {
  return chunk[kPiece] !== undefined;
}

/**
 * @param {object} socket
 * @param {string} name
 * @param {Function} value
 */
function define(socket, name, value) {
  Object.defineProperty(socket, name, { value, writable: true, configurable: true, enumerable: false });
  return value;
}

/**
 * A socket whose writes are Node's own, or wrapped by us: a marker put into it will be known when it comes out.
 * @param {any} socket
 */
function isPlain(socket) {
  if (!(socket instanceof net.Socket) || /** @type {any} */ (socket).encrypted) return false;
  const own = /** @type {any} */ (socket);
  if (own.write !== plain.streamWrite) return false;
  const channel = channelOf(own);
  return channel
    ? own._write === channel.write && own._writev === channel.writev
    : own._write === plain.write && own._writev === plain.writev;
}

/**
 * @param {any} socket
 * @returns {Channel}
 */
function attach(socket) {
  socket[kChannel] ??= new Channel(socket);
  return socket[kChannel];
}

/**
 * Sends a transfer at once, or puts its markers into the stream: in one turn, so that nothing comes between them.
 * @param {Transfer} transfer
 */
function enqueue(transfer) {
  const { out } = transfer;
  const socket = plain.socketOf(out) ?? out;
  const channel = attach(socket);
  // Whoever hears of the head and replaces `write` gets what is written after this.
  const { write } = out;
  if (!transfer.makeHead()) return transfer.complete();
  let from = sendAtOnce(transfer, socket, channel);
  if (from === transfer.bytes) {
    if (transfer.promised !== undefined) out[kWhole] = true;
    return transfer.complete();
  }
  transfer.queues();
  transfer.way = channel;
  channel.add(transfer);
  if (transfer.isHttp && !out.socket) awaitSocket(transfer);
  try {
    while (from < transfer.bytes) {
      /** @type {Piece} */
      const piece = { transfer, from, length: Math.min(MARKER_MAX, transfer.bytes - from), known: false };
      channel.pending.push(piece);
      write.call(out, markerOf(piece), (/** @type {Error | null | undefined} */ error) =>
        onWritten(piece, error),
      );
      from += piece.length;
    }
  } catch (error) {
    channel.drop(transfer, /** @type {Error & { code: string }} */ (error));
    throw error;
  }
}

/** The transfers of a message whose markers wait in it for its socket. */
const kWaiting = Symbol('rs-sendfile waiting');

/**
 * Nobody tells a response that waits behind another when it is destroyed; and it may get another socket than that of
 * its request, if it is assigned by hand.
 * @param {Transfer} transfer
 */
function awaitSocket(transfer) {
  const { out } = transfer;
  /** @type {Set<Transfer> | undefined} */
  let waiting = out[kWaiting];
  if (!waiting) {
    const all = new Set();
    out.once('socket', (/** @type {any} */ socket) => {
      for (const one of all) rehouse(one, socket);
    });
    waiting = all;
    out[kWaiting] = waiting;
  }
  waiting.add(transfer);
  const forget = whenClosed(out, () => {
    const channel = /** @type {Channel} */ (transfer.way);
    if (!out.socket) cutLater(out);
    // Once it has had its turn the socket's own 'close' tells, and what is being sent is counted first.
    if (!channel.batch?.carries(transfer)) channel.drop(transfer, errors.prematureClose(out.errored));
  });
  transfer.onFinish = () => {
    forget();
    waiting.delete(transfer);
  };
}

/**
 * This is the socket that a transfer's markers go to.
 * @param {Transfer} transfer
 * @param {any} socket
 */
function rehouse(transfer, socket) {
  const from = /** @type {Channel} */ (transfer.way);
  if (from.socket === socket) return;
  if (!isPlain(socket)) {
    from.drop(transfer, errors.prematureClose(errors.chunkCopied()));
    transfer.out.destroy();
    socket.destroy();
    return;
  }
  const to = attach(socket);
  const isIts = (/** @type {Piece} */ piece) => piece.transfer === transfer;
  to.pending.push(...from.pending.filter(isIts));
  from.pending = from.pending.filter((piece) => !isIts(piece));
  from.transfers.delete(transfer);
  to.transfers.add(transfer);
  transfer.way = to;
}

/**
 * A marker's own write callback. By then its piece is done; if not, either the stream was destroyed before its turn, or
 * somebody between us and the socket has kept the chunk, or changed it past knowing.
 * @param {Piece} piece
 * @param {Error | null} [error]
 */
function onWritten(piece, error) {
  const { transfer } = piece;
  const channel = /** @type {Channel} */ (transfer.way);
  channel.arrived(piece);
  if (piece.known || transfer.over) return;
  const { out } = transfer;
  // Node 26 says so at once of a response that was destroyed behind others: those still have their turn.
  const isQueued = error && out.destroyed && !out.socket && out[kWaiting]?.has(transfer);
  channel.drop(transfer, errors.prematureClose(error ?? errors.chunkCopied()));
  if (isQueued) cutLater(out);
  else channel.socket.destroy();
}

/**
 * @param {any} socket
 * @returns {Channel | undefined}
 */
function channelOf(socket) {
  return socket?.[kChannel];
}

/**
 * Where a message's body began in its socket's bytes; undefined if its head has not come by.
 * @param {any} message
 * @returns {number | undefined}
 */
function bodyStartOf(message) {
  return message[kBodyStart];
}

module.exports = { Channel, enqueue, isPlain, channelOf, bodyStartOf };
