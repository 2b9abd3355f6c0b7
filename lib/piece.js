'use strict';

/**
 * A piece of a transfer: what stands behind one marker chunk.
 */

const { randomBytes } = require('node:crypto');

/** The marker's property that holds its piece. */
const kPiece = Symbol('rs-sendfile piece');
/** Every copy of this package in the process knows a marker by this, its own or not. */
const kMarker = Symbol.for('rs-sendfile marker');

/** The most bytes of one marker: memory that is reserved and, but for its first page, never touched. */
const MARKER_MAX = 64 * 1024 * 1024;
/**
 * What every marker begins with. Markers are known by identity; but somebody between us and the socket may copy a
 * chunk, and by this the copy is known for what it is before it goes out. Of signs that survive being made a text of
 * any encoding, of either case, or part of a page.
 */
const TOKEN_BYTES = 32;
const SIGNS = '!#$%()*+,-./0123456789:;=?@[]^_{|}~';
const token = Array.from(randomBytes(TOKEN_BYTES), (byte) => SIGNS[byte % SIGNS.length]).join('');
/** So much of it is nobody else's. Shorter markers could be anybody's bytes. */
const known = token.slice(0, 12);
/** @type {Buffer | undefined} */
let blank;

/**
 * A chunk that stands for a piece.
 * @param {Piece} piece
 */
function markerOf(piece) {
  if (!blank) {
    blank = Buffer.alloc(MARKER_MAX);
    blank.write(token, 'latin1');
  }
  const marker = /** @type {any} */ (blank.subarray(0, piece.length));
  marker[kPiece] = piece;
  marker[kMarker] = true;
  return marker;
}

/**
 * Is this the marker of another copy of this package, whose piece is unknown here?
 * @param {any} chunk
 */
function isForeign(chunk) {
  return chunk[kMarker] === true && chunk[kPiece] === undefined;
}

/**
 * Is this, or does it hold, the copy of a marker?
 * @param {string | Uint8Array} chunk
 * @param {BufferEncoding} [encoding]
 */
function isCopy(chunk, encoding) {
  if (typeof chunk !== 'string') return Buffer.prototype.includes.call(chunk, known);
  return chunk.includes(known) || (!isOfBytes(encoding) && Buffer.from(chunk, encoding).includes(known));
}

/**
 * In these a text holds our signs just where its bytes do.
 * @param {BufferEncoding} [encoding]
 */
function isOfBytes(encoding) {
  return encoding === undefined || encoding === 'latin1' || encoding === 'utf8' || encoding === 'binary';
}

/**
 * @typedef {object} Piece
 * @property {import('./transfer').Transfer} transfer
 * @property {number} from its first byte, counted from the transfer's own first
 * @property {number} length bytes
 * @property {boolean} known it has come to the socket as what it is
 */

/**
 * Its transfer ends with it.
 * @param {Piece} piece
 */
function isLast({ transfer, from, length }) {
  return from + length === transfer.bytes;
}

/**
 * @param {string | Uint8Array} chunk
 * @param {BufferEncoding} [encoding]
 */
function byteLength(chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
}

module.exports = { kPiece, MARKER_MAX, byteLength, isCopy, isForeign, isLast, markerOf };
