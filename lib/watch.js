'use strict';

/**
 * The clock beside a transfer: tells its progress, ends it when no byte moves, and keeps the socket's idle timer from
 * firing while bytes do move (Node sees none of them).
 */

const http = require('node:http');
const errors = require('./errors');

const PROGRESS_MS = 100;
const IDLE_MS = 1000;
/** No timer is set for less. */
const LEAST_MS = 10;
/** So long before the idle timer would fire, somebody looks whether bytes have moved. */
const BEFORE_MS = 20;

class Watch {
  /** @param {import('./transfer').Transfer} transfer */
  constructor(transfer) {
    this.transfer = transfer;
    this.reported = 0;
    this.pulse = this.count();
    this.movedAt = performance.now();
    this.kept = 0;
    /** When the idle timer was last set. */
    this.keptAt = this.movedAt;
    this.tick = this.tick.bind(this);
    this.timer = this.arm(this.movedAt);
  }

  /** Grows whenever a byte moves: of this transfer, or of what is before it. */
  count() {
    const { transfer } = this;
    return transfer.progress() + (transfer.way?.pulse() ?? 0);
  }

  /** The transfer has found its way: what others sent on it before is no movement of its own. */
  begin() {
    this.pulse = this.count();
    this.kept = this.pulse;
    this.keptAt = performance.now();
  }

  /** @returns {any} the socket whose idle timer is concerned */
  get socket() {
    const { out } = this.transfer;
    return (out instanceof http.OutgoingMessage && out.socket) || out;
  }

  /** @param {number} now */
  arm(now) {
    const { timeout, onProgress } = this.transfer.options;
    const wait = Math.min(
      timeout > 0 ? this.movedAt + timeout - now : Infinity,
      onProgress ? PROGRESS_MS : Infinity,
      this.idleWait(now),
    );
    // Never a reason to keep the process alive: the pending transfer is.
    return setTimeout(this.tick, Math.max(LEAST_MS, wait)).unref();
  }

  /** @param {number} now */
  idleWait(now) {
    const idle = this.socket.timeout;
    if (!(idle > 0)) return IDLE_MS;
    // Soon after a movement, so that silence is told in time; and once more right before it would be.
    const last = this.keptAt + idle - Math.min(BEFORE_MS, idle / 4) - now;
    return Math.min(IDLE_MS, idle / 2, last > 0 ? last : Infinity);
  }

  tick() {
    const { transfer } = this;
    const { timeout, onProgress } = transfer.options;
    const now = performance.now();
    const sent = transfer.progress();
    const pulse = this.count();
    if (pulse !== this.pulse) {
      this.pulse = pulse;
      this.movedAt = now - (transfer.way?.idle() ?? 0);
    }
    if (timeout > 0 && now - this.movedAt >= timeout) {
      transfer.stop(errors.timedOut(timeout));
      if (transfer.over) return;
      this.movedAt = now;
    }
    if (onProgress && sent !== this.reported) {
      this.reported = sent;
      transfer.report(sent);
      if (transfer.over) return;
    }
    this.keepAlive();
    this.timer = this.arm(now);
  }

  keepAlive() {
    const { socket } = this;
    if (!(socket.timeout > 0) || this.pulse === this.kept) return;
    this.kept = this.pulse;
    this.keptAt = performance.now();
    socket.setTimeout(socket.timeout);
  }

  stop() {
    clearTimeout(this.timer);
  }
}

module.exports = { Watch };
