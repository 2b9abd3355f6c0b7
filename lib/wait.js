'use strict';

/**
 * Waiting until an fd takes bytes: what select(2) and poll(2) are to users of the raw call.
 */

const args = require('./args');
const errors = require('./errors');
const { native } = require('./native');

/**
 * @param {number} fd
 * @param {{ signal?: AbortSignal, timeout?: number }} [options]
 * @returns {Promise<void>}
 */
async function waitWritable(fd, options) {
  const checked = args.fd(fd, 'fd');
  const given = args.options(options);
  const signal = args.signal(given.signal);
  const timeout = args.timeout(given.timeout);
  if (signal?.aborted) throw errors.aborted(signal);
  if (native === null) throw errors.systemError(errors.errnoOf('ENOSYS'), 'poll');
  const addon = native;
  return new Promise((resolve, reject) => {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const settle = (/** @type {Error | null} */ error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (error) reject(error);
      else resolve();
    };
    const id = addon.waitWritable(checked, (end, _sent, errno) => {
      settle(end === 0 ? null : errors.systemError(errno, 'poll'));
    });
    if (id < 0) return reject(errors.systemError(id, 'poll'));
    const stop = (/** @type {Error} */ error) => {
      addon.cancel(id, false);
      settle(error);
    };
    const onAbort = () => stop(errors.aborted(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (timeout > 0) timer = setTimeout(() => stop(errors.timedOut(timeout)), timeout);
  });
}

module.exports = { waitWritable };
