'use strict';

/**
 * What happened to each transfer, on the diagnostics channels `tracing:rs-sendfile:transfer:*`. The names are those of
 * Node's TracingChannel, made by hand since Node 18.17 has none.
 */

const { channel } = require('node:diagnostics_channel');

const prefix = 'tracing:rs-sendfile:transfer:';
const start = channel(`${prefix}start`);
const end = channel(`${prefix}end`);
const asyncStart = channel(`${prefix}asyncStart`);
const asyncEnd = channel(`${prefix}asyncEnd`);
const error = channel(`${prefix}error`);

/** Somebody listens. */
function isWanted() {
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  );
}

/**
 * The transfer was called, and the call has returned.
 * @param {object} message
 */
function called(message) {
  start.publish(message);
  end.publish(message);
}

/**
 * The transfer is over.
 * @param {object & { error?: Error }} message
 */
function settled(message) {
  if (message.error) error.publish(message);
  asyncStart.publish(message);
  asyncEnd.publish(message);
}

module.exports = { isWanted, called, settled };
