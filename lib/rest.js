'use strict';

/**
 * A piece, or the rest of one, read and written in JS: by the operator's will, for want of a binary, or since there was
 * no descriptor or no thread to be had for the native way. It needs none.
 */

const errors = require('./errors');
const { bufferOf, fileRange, joined } = require('./flight');
const { isLast } = require('./piece');
const plain = require('./plain');

/** Bytes per read, and of headers and trailers per write. */
const CHUNK = 64 * 1024;
/** A head of as much again leaves with the first chunk of its file, in one write. */
const WRITE_MAX = 2 * CHUNK;

class Rest {
  /**
   * @param {import('./batch').Batch} batch
   * @param {import('./flight').Flight} flight
   * @param {number} sent bytes of head, piece and tail that are out already
   */
  constructor(batch, flight, sent) {
    this.batch = batch;
    this.flight = flight;
    const { piece } = flight;
    this.transfer = piece.transfer;
    this.range = fileRange(piece);
    const headLength = flight.head?.length ?? 0;
    const riders = batch.entries.slice(flight.marker + 1, flight.next).map(bufferOf);
    this.head = flight.head?.subarray(Math.min(sent, headLength));
    this.tail = joined([...(isLast(piece) ? this.transfer.options.trailers : []), ...riders])?.subarray(
      Math.max(0, sent - headLength - this.range.length),
    );
    /** File bytes read so far. */
    this.at = Math.max(0, Math.min(sent - headLength, this.range.length));
    /** Bytes of the piece have been given to the socket: they cannot be taken back. */
    this.begun = flight.own(sent) > 0;
    /** Bytes of the write that is under way. */
    this.writing = 0;
    flight.sent = sent;
  }

  /**
   * What comes before the file leaves with its first bytes, in one write, as a pipe's first chunk takes the head along.
   * More than that does not wait for them.
   */
  start() {
    if (this.head && this.head.length > CHUNK) this.write(this.head, () => this.read());
    else this.read(this.head);
  }

  /** The transfer has been ended meanwhile, and whoever did that has done all there was to do. */
  get isOver() {
    return this.batch.over || this.transfer.over;
  }

  /** @param {Buffer} [head] */
  read(head) {
    const { batch, range, transfer } = this;
    const left = range.length - this.at;
    if (left === 0) {
      return this.write(head, () => this.write(this.tail, () => batch.restWritten(this.flight)));
    }
    const fail = (/** @type {Error & { code: string }} */ error) =>
      this.write(head, () => batch.abandon(transfer, error));
    const source = /** @type {import('./source').Source} */ (transfer.source);
    source.read(Math.min(CHUNK, left), range.offset + this.at, (error, bytes) => {
      if (this.isOver) return;
      if (error) return fail(/** @type {any} */ (error));
      if (batch.stopping) return batch.restStopped(this.flight);
      if (bytes.length === 0) return fail(errors.truncated(transfer.length, transfer.fileBytes));
      this.at += bytes.length;
      this.write(head?.length ? Buffer.concat([head, bytes]) : bytes, () => this.read());
    });
  }

  /**
   * @param {Uint8Array | undefined} bytes
   * @param {() => void} then
   * @returns {void}
   */
  write(bytes, then) {
    if (!bytes?.length) return then();
    // No more at a time than of the file: what becomes of a write that fails nobody can tell.
    if (bytes.length > WRITE_MAX) {
      const rest = bytes.subarray(CHUNK);
      return this.write(bytes.subarray(0, CHUNK), () => this.write(rest, then));
    }
    const { batch, flight, transfer } = this;
    this.writing = bytes.length;
    // Other writers' bytes come first.
    this.begun ||= flight.sent + bytes.length > flight.before;
    plain.write.call(batch.socket, bytes, 'buffer', (/** @type {Error | null | undefined} */ error) => {
      if (this.isOver) return;
      if (error) return batch.closed(transfer, error);
      this.count(bytes.length);
      this.writing = 0;
      // Node 20 calls what was under way back as done when a socket is destroyed; its 'close' comes next.
      if (batch.socket.destroyed) return;
      if (batch.stopping) batch.restStopped(flight);
      else then();
    });
  }

  /** Bytes of the write under way that have left the process. */
  left() {
    const handle = this.batch.socket._handle;
    return this.writing > 0 && handle ? Math.max(0, this.writing - (handle.writeQueueSize ?? 0)) : 0;
  }

  /** Bytes of the piece that are out and not counted yet. */
  moving() {
    const { flight } = this;
    return flight.own(flight.sent + this.left()) - flight.own(flight.sent);
  }

  /** @param {number} bytes that are out, all in all, of the write under way */
  count(bytes = this.left()) {
    const { flight, transfer } = this;
    const before = flight.own(flight.sent);
    flight.sent += bytes;
    transfer.sent += flight.own(flight.sent) - before;
  }
}

module.exports = { Rest };
