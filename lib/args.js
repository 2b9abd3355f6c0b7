'use strict';

/**
 * Every check of an argument. What passes here is what the native side takes: NaN stands for null, and a negative fd,
 * place or length is left to it, since the contract says EBADF and EINVAL.
 */

const { fileURLToPath } = require('node:url');
const { types } = require('node:util');
const errors = require('./errors');

/** @typedef {string | Uint8Array | ReadonlyArray<string | Uint8Array>} Bytes */

const MAX_FD = 2 ** 31 - 1;
const MAX = 2n ** 63n - 1n;
/** The least number past 2^63-1. */
const TOO_LARGE = 2 ** 63;
/** @type {Uint8Array[]} */
const NOTHING = [];

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number}
 */
function fd(value, name) {
  if (typeof value !== 'number') throw errors.invalidArgType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw errors.outOfRange(name, 'an integer', value);
  if (value > MAX_FD || value < -MAX_FD) throw errors.outOfRange(name, `>= 0 && <= ${MAX_FD}`, value);
  return value;
}

/**
 * Looks like a FileHandle, of whatever realm.
 * @param {any} value
 */
function isFileHandle(value) {
  return (
    value !== null &&
    typeof value === 'object' &&
    typeof value.fd === 'number' &&
    typeof value.stat === 'function' &&
    typeof value.close === 'function'
  );
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function inFd(value) {
  if (isFileHandle(value)) return fd(/** @type {{ fd: number }} */ (value).fd, 'inFd.fd');
  if (typeof value !== 'number') {
    throw errors.invalidArgType('inFd', 'of type number or an instance of FileHandle', value);
  }
  return fd(value, 'inFd');
}

/**
 * A place or a length in bytes.
 * @param {unknown} value
 * @param {string} name
 * @returns {number | bigint}
 */
function whole(value, name) {
  if (value == null) return NaN;
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value >= TOO_LARGE) {
      throw errors.outOfRange(name, 'an integer <= 2 ** 63 - 1', value);
    }
    return value;
  }
  if (typeof value === 'bigint') {
    if (value > MAX) throw errors.outOfRange(name, 'an integer <= 2 ** 63 - 1', value);
    return value;
  }
  throw errors.invalidArgType(name, 'of type number or bigint, or null', value);
}

/**
 * Headers or trailers as a list of byte arrays.
 * @param {unknown} value
 * @param {string} name
 * @returns {Uint8Array[]}
 */
function bytes(value, name) {
  if (value == null) return NOTHING;
  // Holes are no bytes either, and a subclass's `map` makes what it likes.
  if (Array.isArray(value)) return Array.from(value, (part, index) => chunk(part, `${name}[${index}]`));
  return [chunk(value, name)];
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {Uint8Array}
 */
function chunk(value, name) {
  if (typeof value === 'string') return Buffer.from(value);
  if (types.isUint8Array(value)) {
    // Another thread may change shared memory while the kernel reads it: send one state of it.
    return types.isSharedArrayBuffer(value.buffer) ? Buffer.from(value) : value;
  }
  throw errors.invalidArgType(
    name,
    'of type string or an instance of Buffer or Uint8Array, or an array of those',
    value,
  );
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function flags(value) {
  if (value == null) return 0;
  if (typeof value !== 'number') throw errors.invalidArgType('flags', 'of type number', value);
  if (!Number.isInteger(value) || value !== (value | 0)) {
    throw errors.outOfRange('flags', 'a 32-bit integer', value);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {Record<string, any>}
 */
function options(value, name = 'options') {
  if (value === undefined) return {};
  if (value === null || typeof value !== 'object' || Array.isArray(value) || types.isUint8Array(value)) {
    throw errors.invalidArgType(name, 'of type object', value);
  }
  return value;
}

/**
 * @param {unknown} value
 * @returns {AbortSignal | undefined}
 */
function signal(value) {
  if (value === undefined) return undefined;
  const given = /** @type {any} */ (value);
  if (
    given === null ||
    typeof given !== 'object' ||
    typeof given.aborted !== 'boolean' ||
    typeof given.addEventListener !== 'function' ||
    typeof given.removeEventListener !== 'function'
  ) {
    throw errors.invalidArgType('options.signal', 'an instance of AbortSignal', value);
  }
  return /** @type {AbortSignal} */ (value);
}

/**
 * Milliseconds; 0 is none.
 * @param {unknown} value
 */
function timeout(value) {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw errors.invalidArgType('options.timeout', 'of type number', value);
  if (!(value >= 0 && value <= MAX_FD))
    throw errors.outOfRange('options.timeout', `>= 0 && <= ${MAX_FD}`, value);
  return value;
}

const METHODS = ['auto', 'sendfile', 'copy'];

/**
 * @typedef {object} TransferOptions
 * @property {number | bigint} offset bytes; NaN: the file's own position
 * @property {number | bigint} length bytes; NaN: until the end
 * @property {Uint8Array[]} headers
 * @property {Uint8Array[]} trailers
 * @property {AbortSignal | undefined} signal
 * @property {number} timeout
 * @property {((bytesSent: number) => void) | undefined} onProgress
 * @property {'auto' | 'sendfile' | 'copy'} method
 */

/** @type {Readonly<TransferOptions>} */
const DEFAULTS = Object.freeze({
  offset: 0,
  length: NaN,
  headers: NOTHING,
  trailers: NOTHING,
  signal: undefined,
  timeout: 0,
  onProgress: undefined,
  method: 'auto',
});

/**
 * @param {unknown} value
 * @returns {TransferOptions}
 */
function transfer(value) {
  if (value === undefined) return DEFAULTS;
  const given = options(value);
  const { onProgress, method = 'auto' } = given;
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw errors.invalidArgType('options.onProgress', 'of type function', onProgress);
  }
  if (!METHODS.includes(method)) {
    throw typeof method === 'string'
      ? errors.invalidArgValue('options.method', method, `must be one of: '${METHODS.join("', '")}'`)
      : errors.invalidArgType('options.method', 'of type string', method);
  }
  return {
    offset: given.offset === undefined ? 0 : place(given.offset, 'offset'),
    length: place(given.length, 'length'),
    headers: bytes(given.headers, 'headers'),
    trailers: bytes(given.trailers, 'trailers'),
    signal: signal(given.signal),
    timeout: timeout(given.timeout),
    onProgress,
    method,
  };
}

/**
 * A place or a length of a transfer: negative is EINVAL at once, since no kernel will be asked.
 * @param {unknown} value
 * @param {string} name
 */
function place(value, name) {
  const checked = whole(value, name);
  if (checked < 0) throw errors.systemError(errors.errnoOf('EINVAL'), 'sendfile');
  return checked;
}

/**
 * What a transfer sends from: an fd, or a path: as bytes with a text for errors, or as that text alone.
 * @param {unknown} value
 * @returns {{ fd: number } | { path: Buffer | null, shown: string }}
 */
function source(value) {
  if (typeof value === 'number') return { fd: fd(value, 'file') };
  if (isFileHandle(value)) return { fd: fd(/** @type {{ fd: number }} */ (value).fd, 'file.fd') };
  if (typeof value === 'string') return path(value, null);
  if (types.isUint8Array(value)) {
    const copy = Buffer.from(value);
    return path(copy.toString(), copy);
  }
  if (value !== null && typeof value === 'object' && 'href' in value && 'protocol' in value) {
    return path(fileURLToPath(/** @type {URL} */ (value)), null);
  }
  throw errors.invalidArgType(
    'file',
    'of type number or string or an instance of FileHandle, Buffer or URL',
    value,
  );
}

/**
 * @param {string} shown
 * @param {Buffer | null} bytes
 */
function path(shown, bytes) {
  if (shown.includes('\0')) throw nullBytes(shown);
  return { path: bytes, shown };
}

/** @param {string} path */
function nullBytes(path) {
  return errors.invalidArgValue('file', path, 'must be a string, Uint8Array, or URL without null bytes');
}

module.exports = { DEFAULTS, fd, inFd, whole, bytes, flags, options, signal, timeout, transfer, source };
