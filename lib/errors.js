'use strict';

/**
 * The only place where errors are made. They look like Node's own: system errors by the names and texts of libuv,
 * argument errors by Node's codes.
 */

const os = require('node:os');
const util = require('node:util');

/** @type {Record<string, number>} */
const numbers = os.constants.errno;
/** libuv's names and texts. Node makes this map anew for everybody who asks: it is asked once. */
const known = util.getSystemErrorMap();
/** libuv's numbers: on Windows they are not the system's. */
const knownErrnos = new Map([...known].map(([errno, [name]]) => [name, errno]));
/** @type {Map<number, string>} */
const osNames = new Map(Object.entries(numbers).map(([name, number]) => [-number, name]));

/**
 * @template {Error} E
 * @param {E} error
 * @param {string} code
 * @param {object} [properties]
 * @returns {E & { code: string }}
 */
function coded(error, code, properties) {
  // Node shows the code in the stack and keeps it out of the name. Defined, not set: a prototype may be frozen.
  const { name } = error;
  const called = (/** @type {string} */ value) =>
    Object.defineProperty(error, 'name', { value, enumerable: false, writable: true, configurable: true });
  called(`${name} [${code}]`);
  error.stack; // formatted now, while the name has the code
  called(name);
  return Object.assign(error, { code }, properties);
}

/**
 * The name of a negative errno, e.g. `EAGAIN`.
 * @param {number} errno
 */
function errnoName(errno) {
  return known.get(errno)?.[0] ?? osNames.get(errno) ?? `errno ${-errno}`;
}

/**
 * A system error as Node makes them.
 * @param {number} errno negative
 * @param {string} syscall
 * @param {object} [properties]
 */
function systemError(errno, syscall, properties) {
  const code = errnoName(errno);
  const text = known.get(errno)?.[1] ?? 'unknown error';
  const path = /** @type {{ path?: string }} */ (properties)?.path;
  const error = new Error(`${code}: ${text}, ${syscall}${path === undefined ? '' : ` '${path}'`}`);
  return Object.assign(error, { errno, code, syscall }, properties);
}

/**
 * An error of `fs`, with the name that libuv has none for.
 * @param {NodeJS.ErrnoException} error
 * @returns {NodeJS.ErrnoException}
 */
function named(error) {
  const { errno = 0, syscall = '' } = error;
  return error.code === errnoName(errno) || !osNames.has(errno) ? error : systemError(errno, syscall);
}

/**
 * The negative errno of a name.
 * @param {string} name
 */
function errnoOf(name) {
  return knownErrnos.get(name) ?? -(numbers[name] ?? numbers.EINVAL);
}

/** @param {unknown} value */
function shown(value) {
  if (typeof value === 'function') return `function ${value.name}`.trim();
  if (value !== null && typeof value === 'object') {
    return value.constructor?.name
      ? `an instance of ${value.constructor.name}`
      : util.inspect(value, { depth: -1 });
  }
  const text = util.inspect(value, { colors: false });
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

/**
 * @param {string} name
 * @param {string} expected
 * @param {unknown} value
 */
function invalidArgType(name, expected, value) {
  const received = value == null ? String(value) : shown(value);
  return coded(
    new TypeError(`The "${name}" argument must be ${expected}. Received ${received}`),
    'ERR_INVALID_ARG_TYPE',
  );
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} why
 */
function invalidArgValue(name, value, why) {
  return coded(
    new TypeError(`The argument '${name}' ${why}. Received ${util.inspect(value)}`),
    'ERR_INVALID_ARG_VALUE',
  );
}

/**
 * @param {string} name
 * @param {string} range
 * @param {unknown} value
 */
function outOfRange(name, range, value) {
  const isLarge = /** @type {number} */ (value) > 2 ** 32 || /** @type {number} */ (value) < -(2 ** 32);
  const received = util.inspect(value, { numericSeparator: isLarge });
  return coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${range}. Received ${received}`),
    'ERR_OUT_OF_RANGE',
  );
}

/** @param {AbortSignal} [signal] */
function aborted(signal) {
  const error = new Error('The operation was aborted', { cause: signal?.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR' });
}

/** @param {number} milliseconds */
function timedOut(milliseconds) {
  return coded(new Error(`No byte went out for ${milliseconds} ms`), 'ERR_SENDFILE_TIMEOUT');
}

/**
 * @param {number} promised
 * @param {number} found
 */
function truncated(promised, found) {
  return coded(
    new Error(`The file ended early: ${promised} bytes were promised, ${found} were there`),
    'ERR_SENDFILE_TRUNCATED',
  );
}

/** @param {unknown} [cause] */
function prematureClose(cause) {
  return coded(
    new Error('Premature close', cause == null ? undefined : { cause }),
    'ERR_STREAM_PREMATURE_CLOSE',
  );
}

/** @param {string} call */
function streamDestroyed(call) {
  return coded(new Error(`Cannot call ${call} after a stream was destroyed`), 'ERR_STREAM_DESTROYED');
}

/** A marker's bytes would have gone out, or have not come to the socket. */
function chunkCopied() {
  return new Error('the chunk of a transfer was copied on its way to the socket');
}

function writeAfterEnd() {
  return coded(new Error('write after end'), 'ERR_STREAM_WRITE_AFTER_END');
}

/**
 * @param {number} bytes
 * @param {number} promised
 */
function lengthMismatch(bytes, promised) {
  return coded(
    new Error(
      `Response body's content-length of ${bytes} byte(s) does not match the content-length of ${promised} byte(s) set in header`,
    ),
    'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
  );
}

/** @param {string} resource */
function accessDenied(resource) {
  return Object.assign(new Error('Access to this API has been restricted'), {
    code: 'ERR_ACCESS_DENIED',
    permission: 'FileSystemRead',
    resource,
  });
}

/**
 * @param {string} name a package that the user's project has to have
 * @param {unknown} cause
 */
function peerMissing(name, cause) {
  return coded(
    new Error(
      `rs-sendfile/${name} needs the package '${name}', which is not installed: npm install ${name}`,
      {
        cause,
      },
    ),
    'ERR_SENDFILE_PEER_MISSING',
  );
}

module.exports = {
  errnoName,
  errnoOf,
  named,
  systemError,
  invalidArgType,
  invalidArgValue,
  outOfRange,
  aborted,
  timedOut,
  truncated,
  prematureClose,
  streamDestroyed,
  chunkCopied,
  writeAfterEnd,
  lengthMismatch,
  accessDenied,
  peerMissing,
};
