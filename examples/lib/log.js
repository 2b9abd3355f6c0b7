'use strict';

const diagnostics = require('node:diagnostics_channel');

/** What rs-sendfile tells of each transfer when it is over: { out, bytes, method, reason, calls, waits, duration }. */
const transfers = new WeakMap();
diagnostics.subscribe('tracing:rs-sendfile:transfer:asyncEnd', (message) =>
  transfers.set(message.out, message),
);

/**
 * Prints one line for a request, e.g. `200 GET /big.bin 1073741824 B 412 ms 2606 MB/s sendfile`.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {{ bytes: number, started: number, error?: NodeJS.ErrnoException }} what  `bytes` of body; `started` by
 *   performance.now()
 */
function logRequest(req, res, { bytes, started, error }) {
  const ms = performance.now() - started;
  // A client chooses its URL: nothing of it may steer the terminal.
  const words = [
    res.statusCode,
    req.method,
    req.url.replace(/[^!-~]/g, '?'),
    `${bytes} B`,
    `${digits(ms)} ms`,
  ];
  const transfer = transfers.get(res);
  if (transfer) words.push(`${digits(bytes / ms / 1000)} MB/s`, transfer.method ?? '-');
  if (error) words.push(error.code ?? error.stack);
  console.log(words.join(' '));
}

const digits = (value) => value.toFixed(value < 10 ? 1 : 0);

module.exports = { logRequest };
