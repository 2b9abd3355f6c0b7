'use strict';

/**
 * A piece that is being sent, with the chunks that travel with it.
 */

const { native } = require('./native');

/**
 * @typedef {import('./piece').Piece} Piece
 * @typedef {{ chunk: any, encoding: any }} Entry
 */

const progress = new Float64Array(3);

/** A native transfer that is under way. */
class Flight {
  /**
   * @param {Piece} piece
   * @param {Buffer | undefined} head other writers' bytes before it, then its own headers
   * @param {number} before how many of those are other writers'
   * @param {number} marker its entry
   * @param {number} next the entry after all that travels with it
   */
  constructor(piece, head, before, marker, next) {
    this.piece = piece;
    this.head = head;
    this.before = before;
    this.marker = marker;
    this.next = next;
    this.id = 0;
    /** Its connection was ended while a thread was sending it. */
    this.hungUp = false;
    /** Bytes out, as far as is known here. */
    this.sent = 0;
    /** Times that it has waited for its socket, as far as is known here. */
    this.waits = 0;
    /** Goes on in JS. @type {import('./rest').Rest | null} */
    this.rest = null;
    /** @type {NodeJS.Timeout | undefined} */
    this.timer = undefined;
    /** A step of it may still be running, and nobody waits for it. */
    this.forsaken = false;
  }

  /**
   * Of so many bytes out, those that are the piece's.
   * @param {number} sent
   */
  own(sent) {
    return Math.min(Math.max(0, sent - this.before), this.piece.length);
  }

  /** Bytes out by now. */
  now() {
    if (this.id > 0 && native?.progress(this.id, progress)) {
      this.sent = progress[0];
      this.waits = progress[2];
    }
    return this.sent;
  }

  /** Milliseconds since the last of them, 0 if nobody knows. */
  idle() {
    return this.id > 0 && native?.progress(this.id, progress) ? progress[1] : 0;
  }
}
/**
 * The part of the file that a piece covers.
 * @param {Piece} piece
 */
function fileRange({ transfer, from, length }) {
  const start = Math.max(0, from - transfer.headerBytes);
  const stop = Math.min(transfer.length, from + length - transfer.headerBytes);
  return { offset: transfer.offset + start, length: Math.max(0, stop - start) };
}

/**
 * @param {Entry} entry
 * @returns {Buffer}
 */
function bufferOf({ chunk, encoding }) {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

/**
 * @param {Uint8Array[]} parts
 * @returns {Buffer | undefined}
 */
function joined(parts) {
  if (parts.length === 0) return undefined;
  return parts.length === 1 && Buffer.isBuffer(parts[0]) ? parts[0] : Buffer.concat(parts);
}

module.exports = { Flight, fileRange, bufferOf, joined };
