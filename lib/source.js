'use strict';

/**
 * The files that transfers send from: opened by path or taken over from an fd. A source belongs to one transfer, which
 * releases it; JS may close its own fd at any time.
 */

const fs = require('node:fs');
const errors = require('./errors');
const { native } = require('./native');

/**
 * @typedef {object} Source
 * @property {number} id the native side's name for it, 0 without one
 * @property {number} fd a descriptor of ours; without the native side the caller's own
 * @property {number} size bytes, -1 where the size says nothing (pipes, devices, /proc)
 * @property {() => void} release
 * @property {boolean} isSpare the native side may release it by itself, once it has sent what is wanted of it
 * @property {() => void} released it has
 * @property {(length: number, place: number | null, done: OnRead) => void} read up to so many bytes at a place, or from
 *   where it stands; none are its end. The descriptor stays open until that is done, since the number may be anybody's
 *   after it: a read that waits for a thread would take a stranger's bytes
 *
 * @typedef {(error: NodeJS.ErrnoException | null, bytes: Uint8Array) => void} OnRead
 */

const ESPIPE = errors.errnoOf('ESPIPE');
const EAGAIN = errors.errnoOf('EAGAIN');
const EINVAL = errors.errnoOf('EINVAL');
const EXDEV = errors.errnoOf('EXDEV');
const report = new Float64Array(5);

/**
 * Paths that were found on a local file system, as bytes, and whether on the mount that they begin on: worth a try to
 * open them on this thread, which the native side does only if they still lead there. The oldest go first.
 * @type {Map<string, { bytes: Buffer, rooted: boolean }>}
 */
const local = new Map();
const LOCAL_MAX = 4096;

function nothing() {}

/**
 * @param {string} key
 * @param {Buffer} bytes
 * @param {boolean} rooted
 */
function remember(key, bytes, rooted) {
  // None of a pool, which each of its parts keeps whole.
  const known = local.get(key) ?? { bytes: Buffer.from(Uint8Array.from(bytes).buffer), rooted };
  known.rooted = rooted;
  local.set(key, known);
  if (local.size > LOCAL_MAX) local.delete(/** @type {string} */ (local.keys().next().value));
}

/** A file that the native side holds for us. */
class Held {
  /**
   * @param {number} id
   * @param {number} fd
   * @param {number} size
   */
  constructor(id, fd, size) {
    this.id = id;
    this.fd = fd;
    this.size = size;
    this.open = true;
    /** Reads of it that have not ended yet. */
    this.reads = 0;
  }

  close() {
    native?.release(this.id);
  }

  get isSpare() {
    return this.open && this.reads === 0;
  }

  released() {
    this.open = false;
  }

  release() {
    if (!this.open) return;
    this.open = false;
    if (this.reads === 0) this.close();
  }

  read(/** @type {number} */ length, /** @type {number | null} */ place, /** @type {OnRead} */ done) {
    this.reads++;
    read(this, length, place, (error, bytes) => {
      if (--this.reads === 0 && !this.open) this.close();
      done(error, bytes);
    });
  }
}

/** A file that `fs` has opened for us. */
class Opened extends Held {
  close() {
    fs.close(this.fd, nothing);
  }
}

/**
 * Takes over an fd: a descriptor of our own, so that the caller's may be closed at once.
 * @param {number} fd
 * @returns {Source}
 */
function adopt(fd) {
  if (native === null) return lent(fd);
  const answer = native.adopt(fd, report);
  if (answer < 0) throw errors.systemError(answer, 'sendfile');
  return new Held(report[0], report[1], report[2]);
}

/**
 * The caller's own fd: without a binary there is no way to duplicate it.
 * @param {number} fd
 * @returns {Source}
 */
function lent(fd) {
  if (fd < 0) throw errors.systemError(errors.errnoOf('EBADF'), 'sendfile');
  const stat = fs.fstatSync(fd);
  if (stat.isDirectory()) throw errors.systemError(errors.errnoOf('EISDIR'), 'sendfile');
  const size = stat.isFile() && stat.size > 0 ? stat.size : -1;
  const own = stat.isFile() ? reopened(fd, stat) : -1;
  if (own >= 0) return new Opened(0, own, size);
  return {
    id: 0,
    fd,
    size,
    release() {},
    isSpare: false,
    released() {},
    read: (length, place, done) => readByFs(fd, length, place, done),
  };
}

/** Where systems let a process open its own descriptors once more. */
const DESCRIPTORS = ['/proc/self/fd/', '/dev/fd/'];

/**
 * A descriptor of our own for the same file, since the number may be anybody's once its owner has closed it.
 * @param {number} fd
 * @param {fs.Stats} stat
 * @returns {number} -1: none to be had
 */
function reopened(fd, { dev, ino }) {
  for (const place of DESCRIPTORS) {
    let own = -1;
    try {
      own = fs.openSync(place + fd, 'r');
      const stat = fs.fstatSync(own);
      if (stat.dev === dev && stat.ino === ino) return own;
      fs.closeSync(own);
    } catch {
      if (own >= 0) fs.closeSync(own);
    }
  }
  return -1;
}

/**
 * Opens a path. `done` is called once; before the return only if the file could be opened without waiting.
 * @param {{ path: Buffer | null, shown: string }} file `path` null: the text's own bytes
 * @param {(error: Error | null, source?: Source) => void} done
 * @returns {() => void} gives up: `done` will not be called, and nothing stays open
 */
function open({ path, shown }, done) {
  const permission = /** @type {any} */ (process).permission;
  if (permission && !permission.has('fs.read', shown)) {
    done(errors.accessDenied(shown));
    return nothing;
  }
  if (native === null || !mayRead(shown)) return openByFs(path ?? Buffer.from(shown), done);
  // A path given as bytes may have no text that is its own; no path as text has a zero in it.
  const key = path === null ? shown : `\0${path.toString('latin1')}`;
  const known = local.get(key);
  if (known !== undefined) {
    let answer = native.openCached(known.bytes, known.rooted, report);
    if (answer === EXDEV) {
      known.rooted = false;
      answer = native.openCached(known.bytes, false, report);
    }
    if (answer === 0) {
      done(null, new Held(report[0], report[1], report[2]));
      return nothing;
    }
    if (answer !== EAGAIN) local.delete(key);
  }
  return openByEngine(path ?? Buffer.from(shown), key, shown, done);
}

/**
 * Deno's permissions, which native code does not meet by itself. What they do not grant is for `fs` to ask for, or to
 * refuse.
 * @param {string} path
 */
function mayRead(path) {
  const { permissions } = /** @type {any} */ (globalThis).Deno ?? {};
  return !permissions?.querySync || permissions.querySync({ name: 'read', path }).state === 'granted';
}

/**
 * @param {Buffer} path
 * @param {string} key
 * @param {string} shown
 * @param {(error: Error | null, source?: Source) => void} done
 */
function openByEngine(path, key, shown, done) {
  const addon = /** @type {NonNullable<typeof native>} */ (native);
  let giveUp = () => {};
  let wanted = true;
  const id = addon.open(path, (end, source, errno, fd, size, isLocal, rooted) => {
    if (end === 0) {
      if (!wanted) return addon.release(source);
      if (isLocal) remember(key, path, rooted !== 0);
      else local.delete(key);
      return done(null, new Held(source, fd, size));
    }
    if (!wanted) return;
    if (errno === ENOENT || errno === ENOTDIR) {
      // Packagers and package managers patch `fs` to find files that the kernel does not know.
      giveUp = openByFs(path, done);
    } else {
      done(errors.systemError(errno, 'open', { path: shown }));
    }
  });
  if (id < 0) return openByFs(path, done); // no thread to be had: libuv has its own
  return () => {
    wanted = false;
    addon.cancel(id, false);
    giveUp();
  };
}

const ENOENT = errors.errnoOf('ENOENT');
const ENOTDIR = errors.errnoOf('ENOTDIR');

/**
 * @param {Buffer} path
 * @param {(error: Error | null, source?: Source) => void} done
 */
function openByFs(path, done) {
  let wanted = true;
  // O_NONBLOCK: a FIFO without a writer would be waited for.
  const flags = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);
  // A string, since patched `fs` modules know no others.
  const shown = path.toString();
  fs.open(Buffer.from(shown).equals(path) ? shown : path, flags, (error, fd) => {
    if (error) return wanted && done(error);
    const close = () => fs.close(fd, () => {});
    if (!wanted) return close();
    fs.fstat(fd, (statError, stat) => {
      const refusal = statError ?? (stat.isFile() ? null : notRegular(stat, shown));
      if (!wanted || refusal) {
        close();
        return wanted && done(refusal);
      }
      sizeOf(fd, stat, (size) => {
        if (wanted) done(null, ours(fd, size));
        else close();
      });
    });
  });
  return () => {
    wanted = false;
  };
}

/**
 * A size of 0 may say nothing: files of /proc have it, and bytes all the same.
 * @param {number} fd
 * @param {fs.Stats} stat
 * @param {(size: number) => void} done -1: the size says nothing
 */
function sizeOf(fd, { size }, done) {
  if (size > 0) return done(size);
  fs.read(fd, Buffer.alloc(1), 0, 1, 0, (error, bytes) => done(error || bytes > 0 ? -1 : 0));
}

/**
 * @param {fs.Stats} stat
 * @param {string} path
 */
function notRegular(stat, path) {
  return errors.systemError(stat.isDirectory() ? errors.errnoOf('EISDIR') : EINVAL, 'open', { path });
}

/**
 * A file that `fs` has opened for us.
 * @param {number} fd
 * @param {number} size
 * @returns {Source}
 */
function ours(fd, size) {
  if (native !== null && native.adopt(fd, report) === 0) {
    fs.close(fd, nothing);
    return new Held(report[0], report[1], report[2]);
  }
  return new Opened(0, fd, size);
}

/**
 * Does `fs` read from a descriptor that it has not opened itself? Some runtimes' knows its own alone.
 * @type {boolean | undefined}
 */
let fsKnows;

/** @param {number} fd one of ours, which is open */
function isKnown(fd) {
  try {
    fs.fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {number} fd
 * @param {number} length
 * @param {number | null} place
 * @param {OnRead} done
 */
function readByFs(fd, length, place, done) {
  const buffer = Buffer.allocUnsafeSlow(length);
  fs.read(fd, buffer, 0, length, place, (error, bytes) =>
    done(error && errors.named(error), buffer.subarray(0, bytes)),
  );
}

/**
 * @param {Held} source
 * @param {number} length
 * @param {number | null} place
 * @param {OnRead} done
 */
function read({ id, fd }, length, place, done) {
  if (id !== 0) fsKnows ??= isKnown(fd);
  if (native === null || id === 0 || fsKnows) return readByFs(fd, length, place, done);
  Promise.resolve(native.read(id, length, place ?? NaN)).then((answer) => {
    if (typeof answer === 'number') done(errors.systemError(answer, 'read'), NOTHING);
    else done(null, answer);
  });
}

const NOTHING = new Uint8Array(0);

/**
 * The file's own position; 0 for what has none, such as a pipe.
 * @param {Source} source
 */
function position(source) {
  const answer = native === null ? errors.errnoOf('ENOSYS') : native.position(source.id);
  if (answer === ESPIPE && source.size < 0) return 0;
  if (answer < 0) throw errors.systemError(answer, 'sendfile');
  return answer;
}

/**
 * Moves the file's own position.
 * @param {Source} source
 * @param {number} to
 */
function seek(source, to) {
  native?.seek(source.id, to);
}

module.exports = { nothing, adopt, open, position, seek };
