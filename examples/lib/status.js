'use strict';

/** What the status page shows: the transfers under way, the last that are over, and the sum of all. */

/** How many that are over are kept, and how many under way are shown at once. */
const KEPT = 100;
const SHOWN = 50;

/** How a transfer ended, by its error's code. */
const ENDS = { ERR_STREAM_PREMATURE_CLOSE: 'left', ABORT_ERR: 'aborted' };

/**
 * @typedef {object} Transfer
 * @property {number} id
 * @property {string} path
 * @property {string} client
 * @property {'running' | 'done' | 'left' | 'aborted' | 'failed'} state `left`: the client did
 * @property {string | null} code of the error that it ended with
 * @property {number} sent bytes that are out
 * @property {number | null} total all bytes of it, null while nobody knows
 * @property {string | null} method null before its turn has come
 * @property {string | null} reason why it is copied
 * @property {number} waits
 * @property {number} began by the store's clock
 * @property {number} ms how long it took
 * @property {number} version of the store when it last changed
 */

class Status {
  /** @param {{ now?: () => number, kept?: number, shown?: number }} [options] `now`: milliseconds */
  constructor({ now = () => performance.now(), kept = KEPT, shown = SHOWN } = {}) {
    this.now = now;
    this.kept = kept;
    this.shown = shown;
    /** Grows with every change: who remembers it knows what is new since. */
    this.version = 0;
    this.count = 0;
    /** @type {Set<Transfer>} the oldest first */
    this.running = new Set();
    /** @type {Transfer[]} the newest first */
    this.over = [];
    this.bytes = 0;
    this.ends = { done: 0, left: 0, aborted: 0, failed: 0 };
  }

  /** @param {{ path: string, client: string, total?: number | null }} what */
  begin({ path, client, total = null }) {
    this.count += 1;
    const transfer = {
      ...{ id: this.count, path, client, state: 'running', code: null, sent: 0, total },
      ...{ method: null, reason: null, waits: 0, began: this.now(), ms: 0, version: 0 },
    };
    this.running.add(transfer);
    this.#change(transfer, {});
    return transfer;
  }

  /**
   * @param {Transfer} transfer
   * @param {{ sent?: number, total?: number, method?: string, reason?: string, waits?: number }} facts
   */
  progress(transfer, facts) {
    if (this.running.has(transfer)) this.#change(transfer, facts);
  }

  /**
   * @param {Transfer} transfer
   * @param {{ sent?: number, total?: number, method?: string, reason?: string, waits?: number, ms?: number,
   *   error?: Error & { code?: string } }} facts
   */
  end(transfer, { error, ms = this.now() - transfer.began, ...facts }) {
    if (!this.running.delete(transfer)) return;
    this.#change(transfer, facts);
    transfer.ms = ms;
    transfer.state = error ? (ENDS[error.code] ?? 'failed') : 'done';
    transfer.code = error ? (error.code ?? error.name) : null;
    this.ends[transfer.state] += 1;
    this.over.unshift(transfer);
    if (this.over.length > this.kept) this.over.pop();
  }

  #change(transfer, facts) {
    this.version += 1;
    transfer.version = this.version;
    const { sent } = transfer;
    for (const name of ['sent', 'total', 'method', 'reason', 'waits']) {
      transfer[name] = facts[name] ?? transfer[name];
    }
    this.bytes += transfer.sent - sent;
  }

  get totals() {
    const { count, bytes, running, ends } = this;
    return {
      ...{ transfers: count, bytes, running: running.size },
      ...{ errors: ends.failed, left: ends.left, aborted: ends.aborted },
    };
  }

  /** The newest of those under way, newest first. */
  newest() {
    return [...this.running].slice(-this.shown).reverse();
  }

  /** What one reader has seen, and what is new to it. */
  view() {
    return new View(this);
  }
}

class View {
  constructor(store) {
    this.store = store;
    this.seen = -1;
    /** The ids of those under way that the reader was shown. */
    this.known = new Set();
  }

  /**
   * What has changed since this was last asked, however long that is ago; null if nothing has. It is never more than
   * the transfers that the page shows.
   */
  next() {
    const { store, seen, known } = this;
    if (seen === store.version) return null;
    const newest = store.newest();
    const ids = new Set(newest.map(({ id }) => id));
    const shown = (transfer) => this.#shown(transfer);
    const event = {
      // The reader forgets what it had from another server, or before it lost the connection.
      first: seen < 0,
      totals: store.totals,
      // One that ended leaves room for an older one, which is news to the reader though it has not changed.
      running: newest.filter(({ id, version }) => version > seen || !known.has(id)).map(shown),
      gone: [...known].filter((id) => !ids.has(id)),
      more: store.running.size - newest.length,
      over: store.over.filter(({ version }) => version > seen).map(shown),
      kept: store.kept,
    };
    this.seen = store.version;
    this.known = ids;
    return event;
  }

  #shown({ version, began, ...transfer }) {
    return transfer.state === 'running' ? { ...transfer, ms: this.store.now() - began } : transfer;
  }
}

module.exports = { Status, KEPT, SHOWN };
