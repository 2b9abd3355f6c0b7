'use strict';

/**
 * The way through JS: read and write, with backpressure. And the predicates that choose it.
 */

const http = require('node:http');
const net = require('node:net');
const { whenClosed } = require('./closing');
const errors = require('./errors');
const { disabled, native, support } = require('./native');
const plain = require('./plain');
const response = require('./response');
const socketWrite = require('./socket-write');

/**
 * @typedef {import('./transfer').Transfer} Transfer
 * @typedef {import('./source').Source} Source
 */

const CHUNK = 64 * 1024;

/**
 * Refuses what is no stream.
 * @param {any} out
 */
function check(out) {
  if (
    out === null ||
    typeof out !== 'object' ||
    typeof out.write !== 'function' ||
    typeof out.on !== 'function'
  ) {
    throw errors.invalidArgType('out', 'an instance of Writable', out);
  }
}

/**
 * The error by which a stream takes no transfer any more.
 * @param {any} out
 */
function unusable(out) {
  // Node ends a socket by itself when its peer has, and says so by a `write` of its own.
  const left = out instanceof net.Socket && Object.hasOwn(out, 'write') && out.readableEnded;
  if (out.destroyed && !(out instanceof http.OutgoingMessage)) return errors.prematureClose(out.errored);
  if ((out.writableEnded || out.finished === true) && !left) return errors.writeAfterEnd();
  const socket = plain.socketOf(out);
  if (left || out.destroyed || socket?.destroyed || out.closed) return errors.prematureClose(out.errored);
  if (out.writable === false) return errors.prematureClose(out.errored);
  return undefined;
}

/**
 * Why a transfer cannot be a write in a socket's own queue, and has to go through the stream's `write`; undefined if it
 * can.
 * @param {any} out
 * @param {Source} source
 * @returns {string | undefined}
 */
function refusal(out, source) {
  // Nobody can make a place for it in a queue without its length.
  if (source.size < 0) return 'unsized';
  if (!(out instanceof http.OutgoingMessage)) return socketRefusal(out);
  // First what cannot be otherwise: some runtimes' messages have writes of their own because they have no such socket.
  return socketRefusal(plain.socketOf(out)) ?? (plain.isPlain(out) ? undefined : 'patched');
}

/**
 * @param {any} socket
 * @returns {string | undefined}
 */
function socketRefusal(socket) {
  if (socket?.encrypted) return 'TLS';
  if (!socketWrite.isPlain(socket)) return 'not a plain socket';
  return socket.connecting || socket._handle?.fd >= 0 ? undefined : 'no fd';
}

/**
 * Why no transfer's bytes may leave past JS in this process; undefined if they may.
 * @returns {string | undefined}
 */
function processReason() {
  if (disabled) return 'RS_SENDFILE_DISABLE';
  return native === null || !support.available ? 'unsupported' : undefined;
}

/**
 * Why the bytes of a transfer that has its place in a socket's queue are read and written in JS all the same;
 * undefined if the native side sends them.
 * @param {any} out
 * @param {Source} source
 * @returns {string | undefined}
 */
function queuedReason(out, source) {
  if (source.id === 0) return 'EMFILE';
  const socket = out instanceof http.OutgoingMessage ? plain.socketOf(out) : out;
  const known = socket.connecting || socketWrite.channelOf(socket) !== undefined;
  return known || native?.isStreamSocket(socket._handle.fd) ? undefined : 'not a socket';
}

/**
 * Begins to copy.
 * @param {Transfer} transfer
 * @returns {import('./transfer').Way}
 */
function begin(transfer) {
  const copier = new Copier(transfer);
  transfer.resource.runInAsyncScope(() => {
    copier.run().catch((error) => transfer.fail(error));
  });
  return copier;
}

/** What waits for a message's 'drain'. */
const kDrain = Symbol('rs-sendfile drain');

/**
 * With one listener for the life of a message: whoever replaces its `on`, as compression does, may hand the listener to
 * a stream of its own, from which nobody can take it again.
 * @param {any} out
 * @param {() => void} go
 */
function whenDrained(out, go) {
  if (!out[kDrain]) {
    /** @type {(() => void)[]} */
    const waiting = [];
    out[kDrain] = waiting;
    out.on('drain', () => {
      for (const each of waiting.splice(0)) each();
    });
  }
  out[kDrain].push(go);
}

/** What ends a stream even if it was given nothing yet. @type {Set<string | undefined>} */
const FATAL = new Set(['ERR_SENDFILE_TIMEOUT', 'ERR_SENDFILE_TRUNCATED']);

class Copier {
  /** @param {Transfer} transfer */
  constructor(transfer) {
    this.transfer = transfer;
    this.out = transfer.out;
    this.keepsLine = true;
    /** Write callbacks can be relied on: nobody stands between us and the stream. */
    this.callsBack = !(this.out instanceof http.OutgoingMessage) || plain.isPlain(this.out);
    /** @type {Error | null} */
    this.error = null;
    /** The last write. @type {Promise<void>} */
    this.writing = Promise.resolve();
    /** Bytes that have been or are being given to the stream. */
    this.handed = 0;
    /** Ends what is being waited for. @type {(error: Error) => void} */
    this.wake = () => {};
    this.onClose = () => this.end(errors.prematureClose(this.out.errored ?? this.heard));
    /** @type {Error | undefined} */
    this.heard = undefined;
    this.onError = (/** @type {Error} */ error) => {
      this.heard = error;
      this.end(errors.prematureClose(error));
    };
    this.onEnd = () => this.end(errors.writeAfterEnd());
  }

  movingOf() {
    return 0;
  }

  waitsOf() {
    return 0;
  }

  idle() {
    return 0;
  }

  pulse() {
    const handle = (plain.socketOf(this.out) ?? this.out)._handle;
    return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
  }

  /**
   * @param {Transfer} _transfer
   * @param {Error & { code?: string }} error
   */
  stop(_transfer, error) {
    this.end(error);
  }

  /** @param {Error & { code?: string }} error */
  end(error) {
    if (this.error) return;
    this.error = error;
    this.wake(error);
  }

  async run() {
    const { transfer, out } = this;
    const socket = plain.socketOf(out);
    out.on('close', this.onClose);
    out.on('error', this.onError);
    if (transfer.isHttp) out.on('prefinish', this.onEnd);
    const forget = socket ? whenClosed(socket, this.onClose) : undefined;
    // HTTP/2: a peer that ends its stream without an error is told of by this alone, and no write calls back any more.
    const stream = typeof out.stream?.on === 'function' ? out.stream : out;
    stream.on('aborted', this.onClose);
    let survives = true;
    try {
      await this.send();
      transfer.complete();
    } catch (error) {
      survives = this.giveUp(/** @type {Error & { code?: string }} */ (error));
    }
    out.off('close', this.onClose);
    // A stream that is ended may tell of it in a later turn.
    if (survives) out.off('error', this.onError);
    out.off('prefinish', this.onEnd);
    stream.off('aborted', this.onClose);
    forget?.();
  }

  /**
   * Ends the transfer; ends the stream too, once it cannot be in step any more. Says whether the stream goes on.
   * @param {Error & { code?: string }} error
   */
  giveUp(error) {
    const { transfer, out } = this;
    const spare = this.handed === 0 && !FATAL.has(error.code);
    transfer.fail(error);
    if (spare && !out.destroyed) {
      if (transfer.isHttp) response.forget(transfer);
      return true;
    }
    if (transfer.isHttp) response.destroy(out);
    else out.destroy();
    return false;
  }

  async send() {
    const { transfer } = this;
    const { headers, trailers } = transfer.options;
    for (const part of headers) await this.put(part);
    let at = 0;
    while (at !== transfer.length) {
      const chunk = await this.read(at);
      if (chunk.length === 0) {
        if (transfer.length < 0) break;
        throw errors.truncated(transfer.length, at);
      }
      at += chunk.length;
      await this.put(chunk);
    }
    for (const part of trailers) await this.put(part);
    await this.until(this.writing);
  }

  /**
   * Writes a chunk once the one before it is out. This one is not waited for: meanwhile the next is being read.
   * @param {Uint8Array} chunk
   */
  async put(chunk) {
    await this.until(this.writing);
    if (this.error) throw this.error;
    const { limit } = this.transfer;
    const handed = this.handed + chunk.length;
    if (handed > limit) throw errors.lengthMismatch(handed, limit);
    this.handed = handed;
    this.writing = this.write(chunk);
    this.writing.catch(() => {}); // whoever waits for it hears
  }

  /**
   * What this gives, unless the transfer ends before. One thing is waited for at a time. No race against a promise of the
   * end: that would hold on to all it has raced against, and so to every chunk of the file.
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>}
   */
  until(promise) {
    return new Promise((resolve, reject) => {
      promise.then(resolve, reject);
      // What has come before the end counts.
      this.wake = (error) => queueMicrotask(() => reject(error));
      if (this.error) this.wake(this.error);
    });
  }

  /**
   * @param {Uint8Array} chunk
   * @returns {Promise<void>}
   */
  write(chunk) {
    const { out, transfer } = this;
    if (chunk.length === 0) return Promise.resolve();
    const count = () => {
      if (!transfer.over && !(transfer.isHttp && response.isBodyless(out))) transfer.sent += chunk.length;
    };
    return new Promise((resolve, reject) => {
      if (this.callsBack) {
        out.write(chunk, (/** @type {Error | null | undefined} */ error) => {
          if (error) return reject(errors.prematureClose(error));
          count();
          // Node 20 calls what was under way back as done when a socket is destroyed.
          if (out.destroyed || plain.socketOf(out)?.destroyed) reject(errors.prematureClose(out.errored));
          else resolve();
        });
        return;
      }
      const ready = out.write(chunk);
      count();
      if (ready) resolve();
      else whenDrained(out, resolve);
    });
  }

  /**
   * @param {number} at bytes of the file already read
   * @returns {Promise<Uint8Array>}
   */
  read(at) {
    const { transfer } = this;
    const source = /** @type {Source} */ (transfer.source);
    const wanted = transfer.length < 0 ? CHUNK : Math.min(CHUNK, transfer.length - at);
    return this.until(
      new Promise((resolve, reject) => {
        const read = (/** @type {number | null} */ place) =>
          source.read(wanted, place, (error, bytes) => {
            const isPipe = error?.code === 'ESPIPE' && place !== null && transfer.offset === 0;
            if (isPipe && !transfer.over) return read(null);
            if (error) reject(error);
            else resolve(bytes);
          });
        read(transfer.offset + at);
      }),
    );
  }
}

module.exports = { check, unusable, refusal, processReason, queuedReason, begin };
