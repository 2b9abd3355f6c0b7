'use strict';

/** Counts of the streams that were piped into responses, in this thread. */

const counts = { taken: 0, completed: 0, failed: 0, bytes: 0 };

/** Streams left to Node, by reason. @type {Map<string, number>} */
const left = new Map();

/**
 * @param {string} reason
 * @param {1 | -1} by
 */
function leave(reason, by) {
  left.set(reason, (left.get(reason) ?? 0) + by);
}

/** @returns {{ taken: number, completed: number, failed: number, bytes: number, left: Record<string, number> }} */
function stats() {
  return { ...counts, left: Object.fromEntries([...left].filter(([, count]) => count > 0)) };
}

module.exports = { counts, leave, stats };
