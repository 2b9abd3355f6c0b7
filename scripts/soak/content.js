'use strict';

/** What the files and the writes of the soak hold: every place can be told from every other, and every source. */

const PERIOD = 65_521; // a prime: no page's or buffer's size is a multiple of it

const base = Buffer.alloc(PERIOD * 2);
{
  let state = 12345;
  for (let i = 0; i < PERIOD; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    base[i] = state >>> 16;
  }
  base.copyWithin(PERIOD, 0, PERIOD);
}

/** Each source begins at another place of the period. @param {number} seed */
const start = (seed) => (seed * 7919) % PERIOD;

/**
 * @param {number} seed
 * @param {number} offset
 * @param {number} length
 */
function bytesOf(seed, offset, length) {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const from = (start(seed) + offset + at) % PERIOD;
    at += base.copy(bytes, at, from, Math.min(from + PERIOD, from + length - at, base.length));
  }
  return bytes;
}

/** Every byte is either right or 0. */
function isTorn(bytes, from) {
  return bytes.every((byte, i) => byte === 0 || byte === base[from + i]);
}

/** What should arrive, as a row of ranges: compared as it comes, without being held. */
class Expected {
  /** @param {{ seed: number, offset: number, length: number, mayBeZero?: boolean }[]} ranges */
  constructor(ranges) {
    this.ranges = ranges.filter(({ length }) => length > 0);
    this.total = this.ranges.reduce((sum, { length }) => sum + length, 0);
    this.at = 0;
    this.range = 0;
    this.inRange = 0;
    /** The first place that is wrong, or -1. */
    this.wrongAt = -1;
    /** What came there, in hex. */
    this.wrong = '';
  }

  /** @param {Buffer} chunk */
  take(chunk) {
    let done = 0;
    while (done < chunk.length && this.wrongAt < 0) {
      const range = this.ranges[this.range];
      if (!range) {
        this.wrongAt = this.at;
        return;
      }
      const length = Math.min(chunk.length - done, range.length - this.inRange, PERIOD);
      const from = (start(range.seed) + range.offset + this.inRange) % PERIOD;
      const same = Math.min(length, base.length - from);
      const here = chunk.subarray(done, done + same);
      if (base.compare(here, 0, same, from, from + same) !== 0 && !(range.mayBeZero && isTorn(here, from))) {
        this.wrongAt = this.at;
        this.wrong = here.toString('hex', 0, 48);
        return;
      }
      done += same;
      this.at += same;
      this.inRange += same;
      if (this.inRange === range.length) {
        this.range++;
        this.inRange = 0;
      }
    }
  }

  get isRight() {
    return this.wrongAt < 0;
  }

  get isWhole() {
    return this.isRight && this.at === this.total;
  }
}

module.exports = { bytesOf, Expected };
