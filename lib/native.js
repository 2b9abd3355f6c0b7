'use strict';

/**
 * Loads the native addon, from a build in this directory or the package for this platform. Never throws: without an
 * addon `support` says why.
 */

const fs = require('node:fs');
const path = require('node:path');
const { readElf } = require('./elf');
const { EXPORTS } = require('./exports');
const { prebuilt } = require('./prebuilt');
const reasons = require('./reasons');
const target = require('./target');

const root = path.join(__dirname, '..');

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

/** @typedef {{ native: Addon | null, name?: string, reason?: string }} Loaded */

/** @param {string} reason @returns {Loaded} */
const none = (reason) => ({ native: null, reason });

/** @returns {Loaded} */
function load() {
  try {
    return find();
  } catch (error) {
    return none(`the binary for ${target.name} was not found: ${/** @type {Error} */ (error).message}`);
  }
}

/** @returns {Loaded} */
function find() {
  const override = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  if (override) return fromOverride(path.resolve(override));
  const built = target.names.filter((name) => fs.existsSync(builtFile(name)));
  if (built.length > 0) return first(built.map((name) => () => fromFile(builtFile(name), name)));
  if (target.platform === 'win32') return none(reasons.windows());
  const published = prebuilt.filter(({ name }) => target.names.includes(name));
  if (published.length === 0) return none(reasons.notMade(target.name));
  if (target.armVersion !== null && target.armVersion < 7) return none(reasons.oldArm(target.armVersion));
  return first(published.map((one) => () => fromPackage(one)));
}

/** @param {string} name */
const builtFile = (name) => path.join(root, `rs-sendfile.${name}.node`);

/**
 * The first that loads; if none does, what is said of the first. There is more than one only where nothing tells the C
 * library, and the wrong one does not load.
 * @param {(() => Loaded)[]} ways
 */
function first(ways) {
  /** @type {Loaded[]} */
  const failed = [];
  for (const way of ways) {
    const loaded = way();
    if (loaded.native !== null) return loaded;
    failed.push(loaded);
  }
  return failed[0];
}

/** What somebody has named is not passed over in silence. @param {string} file @returns {Loaded} */
function fromOverride(file) {
  const loaded = fs.existsSync(file) ? fromFile(file) : none(reasons.absent(file));
  if (loaded.native !== null) return loaded;
  return none(`NAPI_RS_NATIVE_LIBRARY_PATH names a file that is of no use: ${loaded.reason}`);
}

/** @param {reasons.Prebuilt} published @returns {Loaded} */
function fromPackage(published) {
  const { name } = published;
  const version = ownVersion();
  const broken = (/** @type {string} */ what) => none(reasons.broken(published, version, what));
  let place;
  let manifest;
  try {
    place = require.resolve(manifestOf(name));
    manifest = Object(JSON.parse(fs.readFileSync(place, 'utf8')));
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== 'MODULE_NOT_FOUND') return broken(message.split('\n')[0]);
    return none(reasons.missing(published, version, { ...target, others: installed() }));
  }
  if (manifest.version !== version) return none(reasons.otherVersion(published, version, manifest.version));
  const file = path.join(path.dirname(place), String(manifest.main));
  if (!fs.existsSync(file)) return broken(reasons.absent(file));
  return fromFile(file, name);
}

/** The binaries that are installed, for whatever platform. */
function installed() {
  return prebuilt
    .map(({ name }) => name)
    .filter((name) => {
      try {
        return require.resolve(manifestOf(name)) !== '';
      } catch {
        return false;
      }
    });
}

/** @param {string} name */
const manifestOf = (name) => `${reasons.packageOf(name)}/package.json`;

function ownVersion() {
  // Not by fs: a bundler takes this along.
  return require('../package.json').version;
}

/** @param {string} file @param {string} [name] @returns {Loaded} */
function fromFile(file, name) {
  const elf = readElf(file);
  if (elf?.arch && elf.arch !== target.arch) return none(reasons.otherArch(file, elf.arch, target.arch));
  if (elf !== null && elf.found < elf.length) return none(reasons.cutOff(file, elf));
  try {
    const native = /** @type {Addon} */ (require(file));
    const lacking = EXPORTS.find((key) => typeof (/** @type {any} */ (native)?.[key]) !== 'function');
    if (lacking) return none(reasons.foreign(file, ownVersion(), lacking));
    native.init();
    return { native, name };
  } catch (error) {
    return none(reasons.notLoaded(file, /** @type {Error} */ (error), seen(elf)));
  }
}

/** What is looked at once a file has not loaded. @param {ReturnType<typeof readElf>} elf */
function seen(elf) {
  let needed = /** @type {string[]} */ ([]);
  try {
    needed = elf?.needed() ?? [];
  } catch {
    // Not even that can be read: the loader's own words are left.
  }
  const glibc = () => target.getReport()?.header?.glibcVersionRuntime;
  return { libc: target.libc, glibc, needed };
}

const { native, name, reason } = load();

/** Flags that some platform has: undefined where this one has none. */
const FLAGS = ['SF_NODISKIO', 'SF_MNOWAIT', 'SF_SYNC', 'SF_USER_READAHEAD', 'SF_NOCACHE'];
const present = native?.constants() ?? {};
const constants = Object.freeze(Object.fromEntries(FLAGS.map((flag) => [flag, present[flag]])));

const syscall = native?.syscall() ?? null;

/** @type {Readonly<{ available: boolean, syscall: string | null, platform: string, reason?: string }>} */
const support = Object.freeze({
  available: syscall !== null,
  syscall,
  platform: name ?? target.name,
  ...(syscall === null && { reason: reason ?? `${target.platform} has no sendfile` }),
});

/** The operator's kill switch: every transfer copies. */
const disabled = process.env.RS_SENDFILE_DISABLE === '1';

/** The numbers by which the native side knows the methods. */
const METHODS = Object.freeze({ auto: 0, sendfile: 1, copy: 2 });

module.exports = { native, constants, support, disabled, METHODS };
