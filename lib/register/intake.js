'use strict';

/**
 * A ReadStream that is piped into a response. Node's pipe stays as it is; only `_read` is ours: as long as nobody but
 * the response wants the bytes, it has the kernel send the next piece of the file and pushes nothing. So every event is
 * Node's, and whatever changes meanwhile (a 'data' listener, `unpipe`, `pause`, a second destination) finds the stream
 * where that piece ends, as it would find it at the end of a chunk.
 */

const { AsyncResource } = require('node:async_hooks');
const diagnostics = require('../diagnostics');
const errors = require('../errors');
const { socketOf } = require('../plain');
const sources = require('../source');
const { sendPart } = require('../transfer');
const { isDead } = require('./leak');
const refusal = require('./refusal');
const { counts, leave } = require('./stats');

/** @typedef {import('../transfer').Transfer} Transfer */

const kIntake = Symbol('rs-sendfile intake');

/**
 * A piece is what the client takes in so many milliseconds, as far as can be told from the one before it: what is in
 * the response's queue cannot be taken back when the stream is paused, unpiped or destroyed.
 */
const PIECE_MS = 250;
const PIECE_FIRST = 1024 * 1024;
const PIECE_LEAST = 256 * 1024;
const PIECE_MOST = 16 * 1024 * 1024;
/** What the first pieces tell is how large the socket's buffer is, not how fast the client. */
const PIECE_GROWTH = 2;

/** What may be over the next time, and is no reason before the stream is. */
const PASSING = new Set(['paused', 'unpiped']);

const NOTHING = Buffer.alloc(0);

/**
 * One pair of functions for all streams: V8 keeps an object's shape, and by it what its accessors know, until the next
 * collection of old garbage.
 */
const BYTES_READ = {
  configurable: true,
  enumerable: true,
  /** @this {any} */
  get() {
    const { bytes, job } = /** @type {Intake} */ (this[kIntake]);
    return bytes + (job ? job.progress() : 0);
  },
  /** @this {any} @param {number} bytes */
  set(bytes) {
    this[kIntake].bytes = bytes;
  },
};

class Intake {
  /** @param {any} stream */
  constructor(stream) {
    this.stream = stream;
    /** @type {any} */
    this.dest = null;
    /** The pipe's own 'data' listener. @type {Function | null} */
    this.ondata = null;
    /** The piece that is being sent. @type {Transfer | null} */
    this.job = null;
    /**
     * A `_read` is not over although its piece is: the piece's response is dead, and the pipe has not heard of it yet.
     * @type {any}
     */
    this.held = null;
    /** The stream's `bytesRead` is told by us. */
    this.shown = false;
    /** Bytes read or sent before the piece. */
    this.bytes = 0;
    this.piece = PIECE_FIRST;
    this.began = 0;
    this.taken = false;
    this.over = false;
    /** Node reads the rest, whatever comes. */
    this.off = false;
    /** Why no bytes of it can be sent, wherever it is piped. @type {string | undefined} */
    this.alien = undefined;
    /** Why it was left to Node, if it was. @type {string | undefined} */
    this.reason = undefined;
    /** What stood in the way the last time. @type {string} */
    this.passing = 'never read';
    /** Of all pieces. */
    this.sent = 0;
    this.calls = 0;
    this.waits = 0;
    /** @type {string} */
    this.method = 'sendfile';
    /** @type {string | undefined} */
    this.copied = undefined;
    /** What the diagnostics channels are told. @type {{ message: object, began: number, resource: AsyncResource } | null} */
    this.told = null;
  }

  /**
   * It has been piped.
   * @param {any} dest
   */
  follow(dest) {
    if (!this.dest) this.stream.on('close', () => this.onClose());
    this.dest = dest;
    this.ondata = this.stream.rawListeners('data').at(-1);
    this.alien = refusal.ofStream(this.stream);
    // All else is asked when it is read.
    const reason = this.alien ?? (dest.writableEnded ? 'ended' : undefined);
    if (reason !== undefined) this.leave(reason);
  }

  /** @param {string} reason */
  leave(reason) {
    if (PASSING.has(reason)) this.passing = reason;
    if (this.taken || this.reason !== undefined || PASSING.has(reason)) return;
    this.reason = reason;
    leave(reason, 1);
  }

  /**
   * Does the work of a `_read`, or says that Node is to do it.
   * @param {Function} hooked the `_read` that has been called
   * @param {() => void} readOn what Node does
   */
  read(hooked, readOn) {
    const { stream, dest } = this;
    if (this.job || this.held) return; // somebody else has pushed something: there is no second read beside this one
    if (this.off) return readOn();
    const reason =
      this.alien ??
      (refusal.isOverridden(stream, hooked) ? 'overridden' : undefined) ??
      refusal.ofReaders(stream, dest, /** @type {Function} */ (this.ondata)) ??
      refusal.ofResponse(dest);
    if (reason !== undefined) {
      this.leave(reason);
      return readOn();
    }
    if (this.left() <= 0) return this.end();
    const range = this.next();
    if (!range) return readOn();
    if (range.length > 0) return this.send(range, readOn);
    range.source.release();
    this.end();
  }

  /** Bytes that the stream still wants of its file. */
  left() {
    const { pos, end, bytesRead } = this.stream;
    return end - (pos ?? bytesRead) + 1;
  }

  end() {
    this.leave('empty');
    this.finish();
    this.stream.push(null);
  }

  /** The next piece; none of it is the end. */
  next() {
    const { stream } = this;
    let source;
    try {
      source = sources.adopt(stream.fd);
      const at = stream.pos ?? sources.position(source);
      if (source.size >= 0) {
        const length = Math.max(0, Math.min(this.left(), source.size - at, this.piece));
        return { source, offset: stream.pos ?? NaN, length };
      }
      this.leave('unsized');
    } catch (error) {
      // Node's own read tells what is wrong with it.
      this.leave(/** @type {NodeJS.ErrnoException} */ (error).code ?? 'unknown');
    }
    source?.release();
    return undefined;
  }

  /**
   * @param {{ source: import('../source').Source, offset: number, length: number }} range
   * @param {() => void} readOn
   */
  send({ source, offset, length }, readOn) {
    this.take(offset);
    this.began = performance.now();
    // Never in this turn: the stream still believes itself to be calling `_read`.
    const done = () => process.nextTick(() => this.landed(job, length));
    const failed = (/** @type {Error & { code: string }} */ error) =>
      process.nextTick(() => this.failed(job, error, readOn));
    const job = sendPart(this.dest, source, { offset, length }, { done, failed });
    this.job = job;
    // What takes time is seen to move.
    if (!job.over) this.show();
    this.stream._readableState.dataEmitted = true;
  }

  /** @param {number} offset of the first piece */
  take(offset) {
    if (this.taken) return;
    this.taken = true;
    counts.taken++;
    if (this.reason !== undefined) leave(this.reason, -1);
    if (diagnostics.isWanted()) this.tell(offset);
  }

  show() {
    if (this.shown) return;
    this.shown = true;
    this.bytes = this.stream.bytesRead;
    Object.defineProperty(this.stream, 'bytesRead', BYTES_READ);
  }

  /** @param {number} offset */
  tell(offset) {
    const { stream, dest } = this;
    const message = {
      out: dest,
      file: stream.path ?? stream.fd,
      ...(!Number.isNaN(offset) && { offset }),
      ...(Number.isFinite(stream.end) && { length: stream.end - (stream.pos ?? 0) + 1 }),
    };
    this.told = { message, began: performance.now(), resource: new AsyncResource('SENDFILE') };
    diagnostics.called(message);
  }

  /**
   * A piece is out, or a part of it.
   * @param {Transfer} job
   */
  count(job) {
    const { stream } = this;
    this.job = null;
    if (this.shown) this.bytes += job.sent;
    else stream.bytesRead += job.sent;
    this.sent += job.sent;
    counts.bytes += job.sent;
    this.calls += job.calls;
    this.waits += job.waits;
    if (job.method === 'copy') this.method = 'copy';
    this.copied ??= job.reason;
    if (stream.pos !== undefined) stream.pos += job.sent;
  }

  /**
   * @param {Transfer} job
   * @param {number} length
   */
  landed(job, length) {
    const took = performance.now() - this.began;
    const wanted = Math.min(Math.floor((length / took) * PIECE_MS), length * PIECE_GROWTH, PIECE_MOST);
    this.piece = Math.max(PIECE_LEAST, wanted);
    this.count(job);
    this.proceed();
  }

  /** The stream was destroyed, or has ended. A piece that is under way goes on, and is counted. */
  onClose() {
    if (!this.taken && this.reason === undefined) leave(this.passing, 1);
    if (this.job || this.over || !this.taken) return;
    // Its end may have been read by Node: it came past somebody else's listener, or into an answer without a body.
    if (this.stream.readableEnded) this.finish();
    else this.finish(errors.prematureClose(this.stream.errored));
  }

  /** @param {any} dest */
  isPipedTo(dest) {
    return this.stream._readableState.pipes.includes(dest);
  }

  /** It may be read for somebody else now. */
  onUnpipe() {
    if (!this.held || this.isPipedTo(this.held)) return;
    this.held = null;
    process.nextTick(() => this.proceed());
  }

  /** The `_read` that sent a piece is over. */
  proceed() {
    const { stream } = this;
    // By Node's own rules an empty chunk ends a `_read` and is no end of the file; what comes next is Node's to say.
    if (stream.destroyed) this.onClose();
    else stream.push(NOTHING);
  }

  /**
   * @param {Transfer} job
   * @param {Error & { code: string }} error
   * @param {() => void} readOn
   */
  failed(job, error, readOn) {
    const { stream } = this;
    // Its own response: the stream may have been piped into another one meanwhile.
    const { out: dest } = job;
    this.count(job);
    // A file that was cut off has ended its connection, as a client does. To Node it would be no error of the stream, and
    // one that nobody listens for would end the process.
    if (
      error.code === 'ERR_STREAM_PREMATURE_CLOSE' ||
      (error.code === 'ERR_SENDFILE_TRUNCATED' && isDead(dest))
    ) {
      const isPipedOn = stream._readableState.pipes.some((/** @type {any} */ other) => other !== dest);
      if (!isPipedOn) this.finish(error);
      // What is read now would be written to a response that is about to close: its pipe hears of that first.
      if (this.isPipedTo(dest)) this.held = dest;
      else this.proceed();
    } else if (dest.destroyed || socketOf(dest)?.destroyed) {
      this.finish(error);
      if (stream.autoClose) stream.destroy(error);
      else stream.emit('error', error);
    } else {
      // Nothing of it has left: more bytes than the response has promised, an end that came before them. Node says so in
      // its own way.
      this.off = true;
      if (!stream.destroyed) readOn();
    }
  }

  /**
   * All that this stream will have sent by transfers is sent.
   * @param {Error} [error]
   */
  finish(error) {
    if (this.over || !this.taken) return;
    this.over = true;
    if (error) counts.failed++;
    else counts.completed++;
    const { told } = this;
    if (!told) return;
    const message = Object.assign(told.message, {
      bytes: this.sent,
      method: this.method,
      reason: this.copied,
      calls: this.calls,
      waits: this.waits,
      duration: performance.now() - told.began,
      ...(error && { error }),
    });
    told.resource.runInAsyncScope(diagnostics.settled, null, message);
  }
}

/** @param {any} stream @returns {Intake | undefined} */
function intakeOf(stream) {
  return stream[kIntake];
}

/**
 * @param {any} stream
 * @param {any} dest
 */
function follow(stream, dest) {
  if (!stream[kIntake]) {
    Object.defineProperty(stream, kIntake, { value: new Intake(stream) });
  }
  stream[kIntake].follow(dest);
}

module.exports = { follow, intakeOf };
