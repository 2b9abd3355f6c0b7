'use strict';

/**
 * A stream's transfers that wait for their turn to be queued, in the order of the calls: a path takes time to open, and
 * the next call must not overtake it.
 */

/** @typedef {import('./transfer').Transfer} Transfer */

/**
 * A property of the stream: a WeakMap that changes with every request is work for every collection of garbage. Other
 * copies of this package in the process stand in the same line: theirs must not overtake ours either.
 */
const kLine = Symbol.for('rs-sendfile line');

const next = Promise.resolve();

/** @param {Transfer} transfer */
function join(transfer) {
  const line = transfer.out[kLine];
  if (line) line.push(transfer);
  else transfer.out[kLine] = [transfer];
}

/**
 * Queues what has come to the head of a stream's line. A transfer that goes through the stream's `write` keeps the line
 * until it is over; one that has left its markers in the stream's own queue does not.
 * @param {any} out
 */
function advance(out) {
  /** @type {Transfer[] | undefined} */
  const line = out[kLine];
  while (line?.[0]?.opened) {
    const [first] = line;
    if (first.begun || first.isEarly()) return; // it keeps the line, or cannot begin yet
    first.begin();
    if (first.keepsLine()) return;
    if (line[0] === first) line.shift();
  }
  if (line?.length === 0) out[kLine] = undefined;
}

/** @param {Transfer} transfer */
function leave(transfer) {
  /** @type {Transfer[] | undefined} */
  const line = transfer.out[kLine];
  const place = line ? line.indexOf(transfer) : -1;
  if (!line || place < 0) return;
  line.splice(place, 1);
  if (line.length === 0) transfer.out[kLine] = undefined;
  else if (place === 0) next.then(() => advance(transfer.out));
}

module.exports = { join, advance, leave };
