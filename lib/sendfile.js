'use strict';

/**
 * The overloads: a number as first argument is the call, a stream is the transfer.
 */

const { types } = require('node:util');
const args = require('./args');
const errors = require('./errors');
const { native } = require('./native');
const { transfer } = require('./transfer');

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isOptions(value) {
  return (
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !types.isAnyArrayBuffer(value)
  );
}

/**
 * Checks the arguments of a call and makes it.
 * @template T
 * @param {(out: number, input: number, offset: number | bigint, nbytes: number | bigint, headers: Uint8Array[],
 *   trailers: Uint8Array[], flags: number) => T} make
 * @param {unknown} outFd
 * @param {unknown} inFd
 * @param {unknown} offset
 * @param {unknown} nbytes
 * @param {unknown} headers or all three by name
 * @param {unknown} trailers
 * @param {unknown} flags
 */
function checked(make, outFd, inFd, offset, nbytes, headers, trailers, flags) {
  if (isOptions(headers) && trailers === undefined && flags === undefined) {
    ({ headers, trailers, flags } = headers);
  }
  return make(
    args.fd(outFd, 'outFd'),
    args.inFd(inFd),
    args.whole(offset, 'offset'),
    args.whole(nbytes, 'nbytes'),
    args.bytes(headers, 'headers'),
    args.bytes(trailers, 'trailers'),
    args.flags(flags),
  );
}

function unavailable() {
  return errors.errnoOf('ENOSYS');
}

/** @param {number} answer a count, or a negative errno */
function counted(answer) {
  if (answer < 0) throw errors.systemError(answer, 'sendfile');
  return answer;
}

const nativeSync = native?.sendfileSync ?? unavailable;
const nativeAsync = native?.sendfile ?? (async () => unavailable());

/**
 * @param {unknown} outFd
 * @param {unknown} inFd
 * @param {unknown} offset
 * @param {unknown} nbytes
 * @param {unknown} [headers]
 * @param {unknown} [trailers]
 * @param {unknown} [flags]
 */
function sendfileSync(outFd, inFd, offset, nbytes, headers, trailers, flags) {
  return counted(checked(nativeSync, outFd, inFd, offset, nbytes, headers, trailers, flags));
}

/**
 * @param {unknown} outFd
 * @param {unknown} inFd
 * @param {unknown} offset
 * @param {unknown} nbytes
 * @param {unknown} [headers]
 * @param {unknown} [trailers]
 * @param {unknown} [flags]
 */
async function call(outFd, inFd, offset, nbytes, headers, trailers, flags) {
  return counted(await checked(nativeAsync, outFd, inFd, offset, nbytes, headers, trailers, flags));
}

/**
 * @param {any} out
 * @param {any} file
 * @param {any} [offset]
 * @param {any} [nbytes]
 * @param {any[]} rest
 * @returns {Promise<number>}
 */
function sendfile(out, file, offset, nbytes, ...rest) {
  if (typeof out === 'number') return call(out, file, offset, nbytes, ...rest);
  if (out === null || typeof out !== 'object' || typeof out.write !== 'function') {
    return Promise.reject(errors.invalidArgType('outFd', 'of type number or an instance of Writable', out));
  }
  if (offset === undefined && nbytes === undefined && rest.length === 0) return transfer(out, file);
  if (isOptions(offset)) return transfer(out, file, offset);
  const options = rest[0] === undefined ? {} : rest[0];
  if (!isOptions(options)) return Promise.reject(errors.invalidArgType('options', 'of type object', options));
  return transfer(out, file, {
    ...options,
    ...(offset !== undefined && { offset }),
    ...(nbytes !== undefined && { length: nbytes }),
  });
}

module.exports = { sendfile, sendfileSync, transfer };
