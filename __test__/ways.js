'use strict';

/**
 * The way that this run's transfers go. `npm test` lets the kernel send; `npm run test:copy` runs the same tests twice
 * more, with the bytes read and written on the native side, and in JS. What a test says of a stream must hold on each.
 *
 * A setup file of those runs, of this process and of those that tests start: it makes every transfer copy that was not
 * told how to go.
 */

const COPY = process.env.RS_SENDFILE_TEST_METHOD === 'copy';
const DISABLED = process.env.RS_SENDFILE_DISABLE === '1';

if (COPY) {
  const args = require('../lib/args');
  const { transfer } = args;
  args.transfer = (options) => {
    const checked = transfer(options);
    return checked.method === 'auto' ? { ...checked, method: 'copy' } : checked;
  };
  // Those of streams that are piped under `register`.
  args.DEFAULTS = Object.freeze({ ...args.DEFAULTS, method: 'copy' });
}

/** `sendfile`, `copy` (by the native side) or `disabled` (by JS). */
const way = DISABLED ? 'disabled' : COPY ? 'copy' : 'sendfile';

/** What diagnostics tell of a transfer to a plain stream. */
const told = {
  method: way === 'sendfile' ? 'sendfile' : 'copy',
  reason: DISABLED ? 'RS_SENDFILE_DISABLE' : undefined,
};

/** What diagnostics tell of a transfer that has this reason of its own for being copied. */
const reasonOf = (own) => (DISABLED ? 'RS_SENDFILE_DISABLE' : own);

/**
 * `test`, for what only these ways do. A run by another way says which tests it leaves out, and why.
 * @param {string[]} ways
 * @param {string} why
 */
function onlyBy(ways, why) {
  if (ways.includes(way)) return test;
  const leaveOut = (name, ...rest) => {
    process.stderr.write(`not by way ${way}: ${name}: ${why}\n`);
    test.skip(`${name} (not by way ${way}: ${why})`, ...rest);
  };
  leaveOut.each = (table) => (name, run) => {
    leaveOut(name, run ?? (() => table));
  };
  return leaveOut;
}

/** Of these methods those that may be asked for: `'sendfile'` is an error of its own where nobody may ask the kernel. */
const methods = (...all) => all.filter((method) => !DISABLED || method !== 'sendfile');

/** Descriptors of a socket while a transfer waits at it: Node's, and a duplicate, which JS does without. */
const HELD = DISABLED ? 1 : 2;

/**
 * The count of a transfer whose socket was destroyed under it, for what has come of it. By JS it may be as much as one
 * write more: Node calls that back as done, and nobody knows any more how much of it had left.
 */
function expectCounted(came, bytesSent) {
  expect(bytesSent).toBeGreaterThanOrEqual(came);
  expect(bytesSent - came).toBeLessThanOrEqual(DISABLED ? 64 * 1024 : 0);
}

/** What a Node that a test starts needs, to go the same way. */
const nodeOptions = COPY ? `--require=${JSON.stringify(__filename)}` : '';

module.exports = { way, told, reasonOf, onlyBy, methods, HELD, expectCounted, nodeOptions };
