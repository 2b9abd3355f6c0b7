'use strict';

/**
 * Loads the native addon and tells "missing" from "broken". The only file that looks at the platform.
 */

const fs = require('node:fs');
const path = require('node:path');

/**
 * @typedef {(end: number, sent: number, errno: number, calls: number, waits: number, copied: number,
 *   refusal: number) => void} Done
 * @typedef {object} Addon
 * @property {() => number} init
 * @property {() => string | null} syscall
 * @property {() => Record<string, number>} constants
 * @property {(out: number, input: number, offset: number | bigint, nbytes: number | bigint, headers: Uint8Array[],
 *   trailers: Uint8Array[], flags: number) => number} sendfileSync
 * @property {(out: number, input: number, offset: number | bigint, nbytes: number | bigint, headers: Uint8Array[],
 *   trailers: Uint8Array[], flags: number) => Promise<number>} sendfile
 * @property {(fd: number, done: Done) => number} waitWritable
 * @property {(id: number, hangUp: boolean) => number} cancel
 * @property {(id: number, report: Float64Array) => boolean} progress
 * @property {(path: Uint8Array, rooted: boolean, report: Float64Array) => number} openCached
 * @property {(path: Uint8Array, done: Done) => number} open
 * @property {(fd: number, report: Float64Array) => number} adopt
 * @property {(source: number, length: number, place: number) => Promise<Uint8Array | number> | number} read
 * @property {(source: number) => number} position
 * @property {(source: number, to: number) => number} seek
 * @property {(source: number) => void} release
 * @property {(fd: number) => boolean} isStreamSocket
 * @property {(fd: number, source: number, offset: number, length: number, head: Uint8Array | undefined,
 *   tail: Uint8Array | undefined, method: number, report: Float64Array, done: Done) => number} transfer
 * @property {(fd: number, source: number, offset: number, length: number, head: string, method: number,
 *   release: boolean, report: Float64Array) => boolean} sendNow
 */

/** The part of a binary's name that tells the C library, or the toolchain, apart. */
function abi() {
  if (process.platform === 'win32') return 'msvc';
  if (process.platform !== 'linux') return '';
  const report = /** @type {any} */ (process.report?.getReport());
  // Node's own report names the glibc that it runs on.
  const libc = report?.header?.glibcVersionRuntime ? 'gnu' : 'musl';
  return process.arch === 'arm' ? `${libc}eabihf` : libc;
}

/** The platform as the binaries' names have it, e.g. `linux-x64-gnu`. */
function target() {
  return [process.platform, process.arch, abi()].filter(Boolean).join('-');
}

/** @param {unknown} error */
function isMissing(error) {
  return /** @type {NodeJS.ErrnoException} */ (error)?.code === 'MODULE_NOT_FOUND';
}

/** @returns {{ native: Addon | null, reason?: string }} */
function load() {
  const override = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  const name = target();
  const local = path.join(__dirname, '..', `rs-sendfile.${name}.node`);
  const places = override ? [path.resolve(override)] : [`rs-sendfile-${name}`];
  if (!override && fs.existsSync(local)) places.unshift(local);
  const place = places[0];
  try {
    const native = /** @type {Addon} */ (require(place));
    native.init();
    return { native };
  } catch (error) {
    if (isMissing(error) && !override) {
      return {
        native: null,
        reason:
          `no binary for ${name}: the package rs-sendfile-${name} is not installed. ` +
          `Try "npm install rs-sendfile-${name}", or build from source with "npm run build".`,
      };
    }
    const message = /** @type {Error} */ (error).message.split('\n')[0];
    return { native: null, reason: `the binary for ${name} does not load: ${message}` };
  }
}

const { native, reason } = load();

/** Flags that some platform has: undefined where this one has none. */
const FLAGS = ['SF_NODISKIO', 'SF_MNOWAIT', 'SF_SYNC', 'SF_USER_READAHEAD', 'SF_NOCACHE'];
const present = native?.constants() ?? {};
const constants = Object.freeze(Object.fromEntries(FLAGS.map((flag) => [flag, present[flag]])));

const syscall = native?.syscall() ?? null;

/** @type {Readonly<{ available: boolean, syscall: string | null, platform: string, reason?: string }>} */
const support = Object.freeze({
  available: syscall !== null,
  syscall,
  platform: target(),
  ...(syscall === null && { reason: reason ?? `${process.platform} has no sendfile` }),
});

/** The operator's kill switch: every transfer copies. */
const disabled = process.env.RS_SENDFILE_DISABLE === '1';

/** The numbers by which the native side knows the methods. */
const METHODS = Object.freeze({ auto: 0, sendfile: 1, copy: 2 });

module.exports = { native, constants, support, disabled, METHODS };
