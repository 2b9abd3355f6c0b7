'use strict';

/**
 * A whole transfer: opens the source, waits for its turn on the stream, hands the bytes to one of two ways (the
 * stream's own queue, lib/socket-write.js, or lib/copy.js), and settles once.
 */

const { AsyncResource } = require('node:async_hooks');
const http = require('node:http');
const args = require('./args');
const copy = require('./copy');
const diagnostics = require('./diagnostics');
const errors = require('./errors');
const line = require('./line');
const response = require('./response');
const socketWrite = require('./socket-write');
const sources = require('./source');
const { Watch } = require('./watch');

/**
 * @typedef {import('./args').TransferOptions} TransferOptions
 * @typedef {import('./source').Source} Source
 *
 * The way that carries a transfer's bytes.
 * @typedef {object} Way
 * @property {(transfer: Transfer, error: Error & { code: string }) => void} stop ends the transfer with this error
 * @property {(transfer: Transfer) => number} movingOf bytes of it that are out, but not yet counted in `sent`
 * @property {(transfer: Transfer) => number} waitsOf times that it has waited, but not yet counted in `waits`
 * @property {() => number} pulse grows whenever a byte leaves the stream, whoever's it is
 * @property {() => number} idle milliseconds since the last byte, 0 if nobody knows
 * @property {boolean} keepsLine the stream's next transfer has to wait until this one is over
 */

/** What waits for this runs in the next microtask. */
const next = Promise.resolve();

/** @param {any[]} _ */
const nothing = (..._) => {};

class Transfer {
  /**
   * @param {any} out
   * @param {TransferOptions} options
   */
  constructor(out, options) {
    this.out = out;
    this.options = options;
    this.isHttp = response.isHttp(out);
    /** @type {AsyncResource | null} */
    this.context = null;
    /** @type {Source | null} */
    this.source = null;
    /** @type {Way | null} */
    this.way = null;
    /** @type {Watch | null} */
    this.watch = null;
    /** First byte of the file and how many, -1 for all that comes. */
    this.offset = 0;
    this.length = 0;
    /** One of many writes of a message, whose framing is its owner's. */
    this.isPart = false;
    /** The response's Content-Length is ours. */
    this.setLength = false;
    /**
     * What its response has promised, as long as nobody counts its body: just the bytes of this transfer.
     * @type {number | undefined}
     */
    this.promised = undefined;
    /** Bytes of it that were counted for a message whose other bytes nobody can count. */
    this.counted = 0;
    /** Its stream and its source have just been looked at. */
    this.vouched = false;
    this.begun = false;
    /** The most bytes that a transfer of unknown length may send. */
    this.limit = Infinity;
    this.headerBytes = total(options.headers);
    this.trailerBytes = total(options.trailers);
    /** Bytes of this transfer that are out: headers, file, trailers. */
    this.sent = 0;
    this.over = false;
    this.opened = false;
    this.awaitsSocket = false;
    /** Its bytes are read and written in JS. */
    this.inJs = false;
    this.calls = 0;
    this.waits = 0;
    /** @type {string} */
    this.method = 'sendfile';
    /** @type {string | undefined} */
    this.reason = undefined;
    this.began = 0;
    /** @type {object | null} */
    this.message = null;
    /** Gives up opening the source. @type {() => void} */
    this.giveUp = nothing;
    /** What its way has to undo. @type {() => void} */
    this.onFinish = nothing;
    /** @type {(() => void) | null} */
    this.onAbort = null;
    /** @type {(bytes: number) => void} */
    this.resolve = nothing;
    /** @type {(error: Error) => void} */
    this.reject = nothing;
  }

  /** @returns {Promise<number>} */
  promise() {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /**
   * Opens the source. An fd is queued before this returns, so that what the caller writes next follows it; a path no
   * earlier than the next microtask, whether it could be opened at once or not.
   * @param {{ fd: number } | { path: Buffer | null, shown: string }} file
   */
  start(file) {
    const { signal, timeout, onProgress } = this.options;
    if (signal) {
      // Whoever was told of the call may have done it.
      if (signal.aborted) return this.fail(errors.aborted(signal));
      this.onAbort = () => this.stop(errors.aborted(signal));
      signal.addEventListener('abort', this.onAbort, { once: true });
    }
    if (timeout > 0 || onProgress) this.watch = new Watch(this);
    // It may be aborted before its turn, from elsewhere, and is told of once it is over.
    if (signal || onProgress) this.keepContext();
    line.join(this);
    try {
      if ('fd' in file) {
        this.source = sources.adopt(file.fd);
        this.opened = true;
        line.advance(this.out);
        this.keepContext();
        return;
      }
      let waited = false;
      this.giveUp = sources.open(file, (error, source) => {
        const go = () => this.onOpen(error, source);
        if (waited) this.resource.runInAsyncScope(go);
        else next.then(go);
      });
      waited = true;
      // What is open already goes on in a microtask of the caller's own.
      if (this.giveUp !== sources.nothing) this.keepContext();
    } catch (error) {
      this.fail(/** @type {Error} */ (error));
    }
  }

  /**
   * @param {Error | null} error
   * @param {Source} [source]
   */
  onOpen(error, source) {
    this.giveUp = nothing;
    if (this.over) return source?.release();
    if (error || !source) return this.fail(/** @type {Error} */ (error));
    this.source = source;
    this.opened = true;
    line.advance(this.out);
    this.keepContext();
  }

  /** The caller's asynchronous context. */
  get resource() {
    this.context ??= new AsyncResource('SENDFILE');
    return this.context;
  }

  /** From here on it may be gone on with by others. What is over by then, as small files are, does without. */
  keepContext() {
    if (!this.over) return this.resource;
  }

  /**
   * A client's request has no socket before its agent finds one, and what cannot be told before then is whether it will
   * be a plain one.
   */
  isEarly() {
    const { out } = this;
    if (!(out instanceof http.ClientRequest) || out.socket || out.destroyed) return false;
    if (!this.awaitsSocket) {
      this.awaitsSocket = true;
      const go = () => this.resource.runInAsyncScope(line.advance, null, out);
      out.once('socket', go);
      out.once('close', go);
    }
    return true;
  }

  /** It is this transfer's turn: says what it will send and queues it. */
  begin() {
    const source = /** @type {Source} */ (this.source);
    this.begun = true;
    try {
      const gone = this.vouched ? undefined : copy.unusable(this.out);
      if (gone) {
        // Ended before its socket was there: the server must not take an empty body for the whole.
        if (this.awaitsSocket) this.out.destroy();
        throw gone;
      }
      const refusal = this.vouched ? undefined : copy.refusal(this.out, source);
      const reason = copy.processReason() ?? refusal ?? copy.queuedReason(this.out, source);
      if (reason !== undefined && this.options.method === 'sendfile') {
        throw errors.systemError(errors.errnoOf('ENOTSUP'), 'sendfile');
      }
      this.measure(source);
      const bodyless = this.isHttp && response.prepare(this, refusal === undefined);
      if (bodyless || this.bytes === 0) {
        this.queues();
        return this.complete();
      }
      if (reason !== undefined) {
        this.method = 'copy';
        this.reason = reason;
        this.inJs = true;
        this.lasts();
      }
      if (refusal === undefined) {
        socketWrite.enqueue(this);
      } else {
        this.queues();
        this.way = copy.begin(this);
      }
      this.watch?.begin();
      this.tell();
    } catch (error) {
      if (this.isHttp) response.forget(this);
      if (this.promised !== undefined) response.watchOver(this);
      this.fail(/** @type {Error} */ (error));
      // A promise of bytes that the file cannot keep: the peer must not wait for them.
      if (this.isHttp && /** @type {any} */ (error).code === 'ERR_SENDFILE_TRUNCATED')
        response.destroy(this.out);
    }
  }

  /**
   * The native side has copied.
   * @param {number} refusal the errno by which the kernel did not send, 0 if nobody asked it to: for a small file, for
   *   one whose pages nobody may count, and on macOS
   */
  copied(refusal) {
    this.method = 'copy';
    if (refusal) this.reason = errors.errnoName(refusal);
    else if (this.options.method === 'auto') this.reason ??= 'preferred';
  }

  /** The stream's next transfer has to wait until this one is over. */
  keepsLine() {
    return !this.over && this.way?.keepsLine === true;
  }

  /** `false`: nothing may follow its response's head. */
  makeHead() {
    return !this.isHttp || response.makeHead(this);
  }

  /** It does not go out whole with its response's head: what becomes of the response is watched. */
  queues() {
    if (this.promised !== undefined) response.count(this);
  }

  /** It takes time: somebody has to look after it. */
  lasts() {
    if (!this.over) this.watch ??= new Watch(this);
  }

  /**
   * Cuts the range to the file.
   * @param {Source} source
   */
  measure(source) {
    const { offset, length } = this.options;
    // Bigints past 2^53 are past the end of every file.
    this.offset = Number.isNaN(offset) ? sources.position(source) : Number(offset);
    const wanted = Number.isNaN(length) ? -1 : Number(length);
    if (source.size < 0) {
      this.length = wanted;
      return;
    }
    const there = Math.max(0, source.size - this.offset);
    this.length = wanted < 0 ? there : Math.min(wanted, there);
    if (this.isHttp && wanted > there) throw errors.truncated(wanted, there);
  }

  /** All bytes of this transfer, -1 if nobody knows before the end of the file. */
  get bytes() {
    return this.length < 0 ? -1 : this.headerBytes + this.length + this.trailerBytes;
  }

  /** Bytes of the file that are out. */
  get fileBytes() {
    const past = Math.max(0, this.sent - this.headerBytes);
    return this.length < 0 ? past : Math.min(past, this.length);
  }

  /** Bytes out so far. */
  progress() {
    return this.sent + (this.way?.movingOf(this) ?? 0);
  }

  /**
   * Ends it from outside: by a signal or a timeout.
   * @param {Error & { code: string }} error
   */
  stop(error) {
    if (this.over) return;
    if (this.way) this.way.stop(this, error);
    else this.fail(error);
  }

  complete() {
    if (this.over) return;
    this.finish();
    // What has gone out at once tells so after the call has given its promise.
    if (this.options.onProgress) next.then(() => this.report(this.sent));
    this.resolve(this.sent);
  }

  /** @param {Error} error */
  fail(error) {
    if (this.over) return;
    Object.assign(error, { bytesSent: this.sent });
    this.finish(error);
    this.reject(error);
  }

  /**
   * Tells the caller how far it is, in the caller's own context. What the callback throws is the caller's.
   * @param {number} bytes
   */
  report(bytes) {
    const { onProgress } = this.options;
    this.tell();
    this.resource.runInAsyncScope(() => {
      try {
        onProgress?.(bytes);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    });
  }

  /** @param {Error} [error] */
  finish(error) {
    this.over = true;
    this.watch?.stop();
    this.giveUp();
    this.onFinish();
    if (this.onAbort) this.options.signal?.removeEventListener('abort', this.onAbort);
    const { source } = this;
    if (source) {
      if (Number.isNaN(this.options.offset)) this.movePosition(source);
      source.release();
    }
    line.leave(this);
    if (this.message) {
      this.record();
      const message = Object.assign(this.message, {
        duration: performance.now() - this.began,
        ...(error && { error }),
      });
      this.resource.runInAsyncScope(diagnostics.settled, null, message);
    }
  }

  /** Whoever holds its message sees how it goes, by each report of progress. Nothing is published. */
  tell() {
    if (this.message && !this.over) this.record();
  }

  record() {
    Object.assign(/** @type {object} */ (this.message), {
      bytes: this.over ? this.sent : this.progress(),
      // A copy that was asked for is one from the start; the native side says so only with its first piece.
      method: this.options.method === 'copy' ? 'copy' : this.method,
      reason: this.reason,
      calls: this.calls,
      waits: this.waits + (this.way?.waitsOf(this) ?? 0),
    });
  }

  /** @param {Source} source */
  movePosition(source) {
    if (this.fileBytes > 0) sources.seek(source, this.offset + this.fileBytes);
  }
}

/** @param {unknown} error */
function rethrow(error) {
  throw error;
}

/** @param {Uint8Array[]} parts */
function total(parts) {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

/**
 * @param {any} out
 * @param {any} file
 * @param {any} [options]
 * @returns {Promise<number>}
 */
function transfer(out, file, options) {
  let promise;
  try {
    copy.check(out);
    const checked = args.transfer(options);
    const source = args.source(file);
    if (checked.signal?.aborted) throw errors.aborted(checked.signal);
    const job = new Transfer(out, checked);
    promise = job.promise();
    if (diagnostics.isWanted()) {
      job.began = performance.now();
      job.message = { out, file, offset: options?.offset, length: options?.length };
      diagnostics.called(job.message);
    }
    job.start(source);
  } catch (error) {
    // What an argument's own getter has thrown may be anything.
    if (Object.isExtensible(error)) Object.assign(/** @type {Error} */ (error), { bytesSent: 0 });
    return Promise.reject(error);
  }
  return promise;
}

/**
 * Part of a file as one write among the others of a message: its framing stays its owner's, who has just asked whether
 * the message can be sent to (`copy.unusable`, `copy.refusal`). Settles by callbacks, since what is thrown in them is to
 * be an uncaught exception like what a stream's listeners throw.
 * @param {any} out
 * @param {Source} source is the part's from now on
 * @param {{ offset: number, length: number }} range `offset` NaN: from the file's own position on, which moves
 * @param {{ done: () => void, failed: (error: Error & { code: string }) => void }} to
 * @returns {Transfer}
 */
function sendPart(out, source, { offset, length }, { done, failed }) {
  const job = new Transfer(out, { ...args.DEFAULTS, offset, length });
  job.isPart = true;
  job.source = source;
  job.opened = true;
  job.resolve = done;
  job.reject = /** @type {any} */ (failed);
  line.join(job);
  job.vouched = true;
  line.advance(out);
  job.vouched = false;
  job.keepContext();
  return job;
}

module.exports = { transfer, sendPart, Transfer };
