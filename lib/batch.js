'use strict';

/**
 * One call of a socket's `_write` or `_writev` that has markers in it: does their transfers in order, with the small
 * chunks around each in the same native call, and leaves larger ones to Node.
 */

const errors = require('./errors');
const { bufferOf, fileRange, Flight, joined } = require('./flight');
const { METHODS, native } = require('./native');
const { byteLength, isLast, kPiece } = require('./piece');
const plain = require('./plain');
const { Rest } = require('./rest');

/**
 * @typedef {import('./piece').Piece} Piece
 * @typedef {import('./transfer').Transfer} Transfer
 * @typedef {import('./flight').Entry} Entry
 * @typedef {[end: number, sent: number, errno: number, calls: number, waits: number, copied: number,
 *   refusal: number]} Numbers
 */

/** Chunks around a marker travel with it up to so many bytes on either side. */
const RIDE_MAX = 64 * 1024;
/** How long the end of a step that waits for a disk is waited for, once its transfer has been ended. */
const PATIENCE_MS = 1000;

/** How the native side says that a transfer ended. */
const DONE = 0;
const FAILED = 1;
const TRUNCATED = 2;
const CANCELLED = 3;
const REFUSED = 4;
const UNREADABLE = 5;

/** What cancelling says of a job that was over before: its count is on its way. */
const OVER = -2;

const report = new Float64Array(7);

class Batch {
  /**
   * @param {any} channel
   * @param {Entry[]} entries
   * @param {(error?: Error | null) => void} done
   */
  constructor(channel, entries, done) {
    this.channel = channel;
    this.socket = channel.socket;
    this.entries = entries;
    this.done = done;
    this.place = 0;
    /** @type {Flight | null} */
    this.flight = null;
    /** The error that ends the transfer in flight. @type {(Error & { code: string }) | null} */
    this.stopping = null;
    this.over = false;
    this.running = false;
    this.again = false;
    channel.batch = this;
    for (const { chunk, encoding } of entries) {
      const piece = /** @type {Piece | undefined} */ (chunk[kPiece]);
      if (piece) {
        piece.known = true;
        channel.arrived(piece);
      }
      channel.pass(chunk, encoding);
    }
  }

  /** Goes on. Whoever is called back, at once or later, calls this again. */
  run() {
    this.again = true;
    if (this.running) return;
    this.running = true;
    while (this.again && !this.over) {
      this.again = false;
      if (this.socket.connecting) this.awaitConnection();
      else if (this.socket.destroyed || !this.socket._handle) this.close(this.socket.errored);
      else this.step();
    }
    this.running = false;
  }

  awaitConnection() {
    // On 'close' the channel ends the batch.
    this.socket.once('connect', () => this.run());
  }

  /** Does the next thing. */
  step() {
    const { entries, place } = this;
    if (place === entries.length) return this.end(null);
    let marker = place;
    let before = 0;
    while (marker < entries.length && entries[marker].chunk[kPiece] === undefined) {
      before += byteLength(entries[marker].chunk, entries[marker].encoding);
      marker++;
    }
    const piece = /** @type {Piece | undefined} */ (entries[marker]?.chunk[kPiece]);
    // A transfer that was ended before its turn has sent nothing, and its marker is passed over.
    const skip = piece?.transfer.over;
    if (skip && piece?.transfer.isHttp) {
      // Its response has promised a body: what follows would be taken for it.
      this.socket.destroy();
      return this.end(errors.streamDestroyed('write'));
    }
    if (piece && !skip && before <= RIDE_MAX) return this.send(piece, place, marker, before);
    if (marker > place) return this.writePlain(place, marker);
    this.place = marker + 1;
    this.run();
  }

  /**
   * Leaves entries to Node.
   * @param {number} from
   * @param {number} to
   */
  writePlain(from, to) {
    const done = (/** @type {Error | null | undefined} */ error) => {
      if (this.over) return;
      if (error) return this.end(error);
      this.run();
    };
    this.place = to;
    if (to - from === 1) {
      plain.write.call(this.socket, this.entries[from].chunk, this.entries[from].encoding, done);
    } else {
      const part = /** @type {any} */ (this.entries.slice(from, to));
      part.allBuffers = part.every((/** @type {Entry} */ entry) => typeof entry.chunk !== 'string');
      plain.writev.call(this.socket, part, done);
    }
  }

  /**
   * Sends a piece, with what stands before it and, if no other marker follows, behind it.
   * @param {Piece} piece
   * @param {number} from
   * @param {number} marker
   * @param {number} before
   */
  send(piece, from, marker, before) {
    const { transfer } = piece;
    const { entries, socket } = this;
    const head = [];
    for (let i = from; i < marker; i++) head.push(bufferOf(entries[i]));
    if (piece.from === 0) head.push(...transfer.options.headers);
    const tail = isLast(piece) ? [...transfer.options.trailers] : [];
    const behind = this.ridersBehind(marker + 1);
    tail.push(...behind);

    const headBuffer = joined(head);
    const flight = new Flight(piece, headBuffer, before, marker, marker + 1 + behind.length);
    this.flight = flight;
    if (transfer.inJs) return this.copyRest(flight, 0);
    const source = /** @type {import('./source').Source} */ (transfer.source);
    const { offset, length } = fileRange(piece);
    const fd = socket._handle.fd;
    socket._unrefTimer?.();
    if (!(fd >= 0) || native === null) {
      return this.landed(flight, REFUSED, 0, errors.errnoOf('EBADF'), 0, 0, 0, 0);
    }
    const method = METHODS[transfer.options.method];
    const landed = (/** @type {Numbers} */ ...numbers) => this.callBack(flight, numbers);
    const id = native.transfer(
      fd,
      source.id,
      offset,
      length,
      headBuffer,
      joined(tail),
      method,
      report,
      landed,
    );
    if (id > 0) {
      flight.id = id;
      flight.sent = report[1];
      return transfer.lasts();
    }
    this.landed(flight, report[0], report[1], report[2], report[3], report[4], report[5], report[6]);
  }

  /**
   * The engine calls back: in the transfer's own context.
   * @param {Flight} flight
   * @param {Numbers} numbers
   */
  callBack(flight, numbers) {
    try {
      flight.piece.transfer.resource.runInAsyncScope(this.landed, this, flight, ...numbers);
    } catch (error) {
      // A listener of the stream has thrown: that is for the process to hear, not for the native side.
      process.nextTick(rethrow, error);
    }
  }

  /**
   * The small chunks from `from` on, if they are the last of the batch. Before another marker they will be its head.
   * @param {number} from
   * @returns {Buffer[]}
   */
  ridersBehind(from) {
    const { entries } = this;
    let bytes = 0;
    for (let i = from; i < entries.length; i++) {
      if (entries[i].chunk[kPiece]) return [];
      bytes += byteLength(entries[i].chunk, entries[i].encoding);
      if (bytes > RIDE_MAX) return [];
    }
    return entries.slice(from).map(bufferOf);
  }

  /**
   * The native side is through with a piece.
   * @param {Flight} flight
   * @param {number} end
   * @param {number} sent
   * @param {number} errno
   * @param {number} calls
   * @param {number} waits
   * @param {number} copied
   * @param {number} refusal
   */
  landed(flight, end, sent, errno, calls, waits, copied, refusal) {
    // It may come late, after its end was no longer waited for.
    if (this.flight !== flight) return;
    const { channel } = this;
    this.flight = null;
    clearTimeout(flight.timer);
    const { piece } = flight;
    const { transfer } = piece;
    channel.bypassed += sent;
    transfer.sent += flight.own(sent);
    transfer.calls += calls;
    transfer.waits += waits;
    if (copied) transfer.copied(refusal);
    const stopping = this.stopping;
    this.stopping = null;
    // Out to the last byte, but its connection had been ended under it: whoever did that is told.
    if (end === DONE && stopping && flight.hungUp) {
      return this.stopped(flight, sent, stopping);
    } else if (end === DONE) {
      this.delivered(flight);
      if (stopping && !transfer.over) return this.abandon(transfer, stopping);
    } else if (stopping || end === CANCELLED) {
      return this.stopped(flight, sent, stopping ?? errors.prematureClose(this.socket.errored));
    } else if (end === REFUSED) {
      return this.copyRest(flight, sent, errno);
    } else if (end === TRUNCATED) {
      return this.abandon(transfer, errors.truncated(transfer.length, transfer.fileBytes));
    } else if (end === UNREADABLE) {
      return this.abandon(transfer, errors.systemError(errno, 'sendfile'));
    } else if (end === FAILED) {
      return this.broken(transfer, errors.systemError(errno, 'sendfile'));
    }
    this.run();
  }

  /**
   * A piece is out, with all that travelled with it.
   * @param {Flight} flight
   */
  delivered({ next, piece }) {
    this.place = next;
    if (!isLast(piece)) return;
    this.channel.remove(piece.transfer);
    piece.transfer.complete();
  }

  /**
   * A transfer was ended from outside while its piece was in flight.
   * @param {Flight} flight
   * @param {number} sent
   * @param {Error & { code: string }} error
   */
  stopped(flight, sent, error) {
    const { transfer } = flight.piece;
    const spare =
      !transfer.isHttp &&
      transfer.sent === 0 &&
      !flight.rest?.begun &&
      !flight.forsaken &&
      error.code === 'ABORT_ERR' &&
      !this.socket.destroyed;
    if (!spare) return this.abandon(transfer, error);
    // Nothing of it has left: the stream goes on without it, and other writers' bytes before it are still owed.
    this.channel.drop(transfer, error, true);
    this.entries = [
      ...(sent < flight.before
        ? [{ chunk: flight.head?.subarray(sent, flight.before), encoding: 'buffer' }]
        : []),
      ...this.entries.slice(flight.marker + 1),
    ];
    this.place = 0;
    this.run();
  }

  /**
   * Ends a transfer and its connection, by no fault of the peer's: no 'error' is raised.
   * @param {Transfer} transfer
   * @param {Error & { code: string }} error
   */
  abandon(transfer, error) {
    this.channel.drop(transfer, error);
    this.socket.destroy();
    this.end(errors.streamDestroyed('write'));
  }

  /**
   * The kernel said no. From the socket's side that is the peer's leaving, told as Node tells it; from the file's side
   * it is nobody's but ours.
   * @param {Transfer} transfer
   * @param {NodeJS.ErrnoException & { code: string }} error
   */
  broken(transfer, error) {
    if (!LEFT.has(error.code)) this.abandon(transfer, error);
    else this.closed(transfer, this.isReset(error) ? errors.systemError(RESET, 'sendfile') : error);
  }

  /**
   * A reset in the middle of a call comes as a count, and the kernel tells it but once: the next call is EPIPE, and the
   * next read an end. Node's own writes would have heard of the reset, and programs go by that. Over a unix socket EPIPE
   * is what they hear.
   * @param {NodeJS.ErrnoException} error
   */
  isReset({ code }) {
    return code === 'EPIPE' && typeof this.socket._handle?.setNoDelay === 'function';
  }

  /**
   * The other side has left, or the socket was destroyed.
   * @param {Transfer} transfer
   * @param {Error} error
   */
  closed(transfer, error) {
    this.channel.drop(transfer, errors.prematureClose(error));
    this.end(error);
  }

  /**
   * Goes on in JS. It stays in flight, so that a signal and a close find it.
   * @param {Flight} flight
   * @param {number} sent
   * @param {number} [errno] why
   */
  copyRest(flight, sent, errno) {
    const { transfer } = flight.piece;
    transfer.method = 'copy';
    if (errno) transfer.reason ??= errors.errnoName(errno);
    transfer.lasts();
    this.flight = flight;
    flight.id = 0;
    flight.rest = new Rest(this, flight, sent);
    transfer.resource.runInAsyncScope(flight.rest.start, flight.rest);
  }

  /** @param {Flight} flight */
  restWritten(flight) {
    this.flight = null;
    this.delivered(flight);
    this.run();
  }

  /** @param {Flight} flight */
  restStopped(flight) {
    const { stopping } = this;
    this.flight = null;
    this.stopping = null;
    flight.rest?.count();
    if (stopping) this.stopped(flight, flight.sent, stopping);
  }

  /**
   * Ends the transfer in flight with this error, if it is this one.
   * @param {Transfer} transfer
   * @param {Error & { code: string }} error
   */
  stop(transfer, error) {
    const { flight } = this;
    if (flight?.piece.transfer !== transfer) return false;
    this.stopping ??= error;
    const hangUp = transfer.isHttp || error.code !== 'ABORT_ERR';
    if (this.cancel(flight, hangUp) && hangUp) flight.hungUp = true;
    return true;
  }

  /**
   * `true`: a thread is sending it, and tells its count later.
   * @param {Flight} flight
   * @param {boolean} hangUp ends the socket under that thread
   */
  cancel(flight, hangUp) {
    if (flight.rest) {
      // What waits in the socket cannot be taken back; before that, the write that is under way is still owed. A read
      // is nobody's: it may take its time.
      if (flight.rest.begun || !flight.rest.writing || hangUp) this.restStopped(flight);
      return false;
    }
    flight.now(); // what waits is forgotten there with its cancelling
    const sent = native?.cancel(flight.id, hangUp) ?? OVER;
    if (sent >= 0) {
      this.landed(flight, CANCELLED, sent, 0, 0, flight.waits, 0, 0);
      return false;
    }
    // Its step is running and tells its count when it ends; it may be waiting for a disk that never answers.
    flight.timer ??= setTimeout(() => this.forsake(flight), PATIENCE_MS);
    return sent !== OVER;
  }

  /**
   * Waits no longer for a step. What it may still send must not come among others' bytes: the socket ends here, even if
   * it could have been spared.
   * @param {Flight} flight
   */
  forsake(flight) {
    native?.cancel(flight.id, true);
    flight.forsaken = true;
    const sent = flight.now();
    this.landed(flight, CANCELLED, sent, 0, 0, flight.waits, 0, 0);
  }

  /**
   * The socket is closed: it calls back no write that is under way, so we do.
   * @param {Error | null | undefined} cause
   */
  close(cause) {
    if (this.over) return;
    const { flight } = this;
    if (flight && flight.id > 0) {
      this.stopping ??= errors.prematureClose(cause);
      this.cancel(flight, true);
      return;
    }
    if (flight) this.channel.drop(flight.piece.transfer, this.stopping ?? errors.prematureClose(cause));
    this.flight = null;
    this.end(cause ?? errors.streamDestroyed('write'));
  }

  /**
   * All is done, or nothing more will be: what is left over of this batch is ended too.
   * @param {Error | null} error
   */
  end(error) {
    if (this.over) return;
    this.over = true;
    this.channel.batch = null;
    if (error) {
      for (const { chunk } of this.entries) {
        const transfer = chunk[kPiece]?.transfer;
        if (transfer && !transfer.over) this.channel.drop(transfer, errors.prematureClose(error));
      }
    }
    this.done(error);
  }

  /** Is this transfer's piece in this batch? @param {Transfer} transfer */
  carries(transfer) {
    return this.entries.some(({ chunk }) => chunk[kPiece]?.transfer === transfer);
  }

  /** Bytes out that nobody has counted yet. */
  moving() {
    return this.flight && this.flight.id > 0 ? this.flight.now() : 0;
  }

  /** Bytes of it that count as written and are in no other count yet. */
  taken() {
    const { entries, flight } = this;
    let bytes = flight && flight.id > 0 ? flight.own(flight.now()) : 0;
    // What travels with a piece that is copied is Node's, as it goes.
    for (let i = flight?.rest ? flight.next : this.place; i < entries.length; i++) {
      const { chunk, encoding } = entries[i];
      if (!chunk[kPiece]) bytes += byteLength(chunk, encoding);
    }
    return bytes;
  }

  /** Milliseconds since the last byte of what is in flight. */
  idle() {
    return this.flight?.idle() ?? 0;
  }

  /** @param {Transfer} transfer */
  movingOf(transfer) {
    const { flight } = this;
    if (flight?.piece.transfer !== transfer) return 0;
    if (flight.rest) return flight.rest.moving();
    return flight.id > 0 ? flight.own(flight.now()) : 0;
  }

  /** @param {Transfer} transfer */
  waitsOf(transfer) {
    const { flight } = this;
    return flight && flight.id > 0 && flight.piece.transfer === transfer ? flight.waits : 0;
  }
}

/** @param {unknown} error */
function rethrow(error) {
  throw error;
}

const RESET = errors.errnoOf('ECONNRESET');

/** What the kernel says of a socket whose peer has left. */
const LEFT = new Set([
  'EPIPE',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTCONN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

module.exports = { Batch };
