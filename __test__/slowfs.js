'use strict';

/**
 * A file system of a process of its own (`slowfs/`), for tests of what a disk in memory never does: to be slow, to fail,
 * to leave. And a sandbox (`deny`) in which the kernel refuses system calls.
 *
 * A file is what its name says: `mounted.file({ size: 1 << 20, read: 200 })` is the path of a mebibyte whose every read
 * takes 200 ms.
 */

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { withLock } = require('../scripts/lock');
const { root, runInChild } = require('./helpers');

const crate = path.join(__dirname, 'slowfs');
const target = path.join(root, 'target', 'slowfs');
const program = (name) => path.join(target, 'release', name);
const BUILD_MS = 300_000;

/** The numbers of two system calls. */
const [pread, sendfile] = process.arch === 'x64' ? [17, 40] : [67, 71];

/** Why these tests cannot run here; undefined if they can. */
function missing({ fuse }) {
  if (process.platform !== 'linux') return `${os.type()} has no seccomp and no /dev/fuse of Linux`;
  if (fuse && process.getuid() !== 0) return 'Linux lets only root mount a file system';
  if (fuse && !fs.existsSync('/dev/fuse')) return 'this Linux kernel has no /dev/fuse';
  if (state() !== 'fresh' && spawnSync('cargo', ['--version']).status !== 0) {
    return 'cargo, which builds __test__/slowfs, is not on the PATH';
  }
  return undefined;
}

/** `describe` where it can run; elsewhere it is skipped, and says so. */
function describeOn(needs, name, define) {
  const reason = missing(needs);
  if (reason === undefined) {
    return describe(name, () => {
      beforeAll(build, BUILD_MS);
      define();
    });
  }
  console.error(`rs-sendfile: "${name}" is not tested: ${reason}`);
  return describe.skip(name, define);
}

/** Tests that mount. */
const describeSlow = (name, define) => describeOn({ fuse: true }, name, define);
/** Tests in the sandbox. */
const describeDenied = (name, define) => describeOn({ fuse: false }, name, define);

/** @returns {'fresh' | 'stale'} of the programs, against their sources */
function state() {
  const time = (file) => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = ['Cargo.toml', 'Cargo.lock', 'src/main.rs', 'src/bin/deny.rs'];
  const newest = Math.max(...sources.map((name) => time(path.join(crate, name))));
  return Math.min(time(program('slowfs')), time(program('deny'))) > newest ? 'fresh' : 'stale';
}

function build() {
  const say = (text) => console.error(`rs-sendfile: ${text}`);
  withLock(path.join(target, 'build.lock'), say, () => {
    if (state() === 'fresh') return;
    const args = ['build', '--release', '--locked', '--quiet', '--target-dir', target];
    const { status } = spawnSync('cargo', args, { cwd: crate, stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) throw new Error(`cargo build of __test__/slowfs ended with ${status}`);
    // cargo leaves what needs no new linking as it was.
    const now = new Date();
    for (const name of ['slowfs', 'deny']) fs.utimesSync(program(name), now, now);
  });
}

/** What is mounted now: nothing of it may outlive this process. */
const mounts = new Set();
process.on('exit', () => {
  for (const mounted of mounts) mounted.detach();
});

class Mounted {
  constructor(directory, daemon) {
    this.directory = directory;
    this.daemon = daemon;
  }

  /** The path of a file with these settings: `size`, `read`, `open`, ...; see slowfs/src/main.rs. */
  file(settings) {
    const name = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
    return path.join(this.directory, name.join(','));
  }

  /** Takes the tree away at once, from under whoever has files of it open: those stay. */
  detach() {
    if (!mounts.delete(this)) return;
    spawnSync('umount', ['-l', this.directory]);
    if (this.isOwn) fs.rmdirSync(this.directory);
  }

  /** Ends the process that answers, as a crash would. */
  async kill() {
    this.daemon.kill('SIGKILL');
    await this.gone;
  }

  /** Unmounts, and ends the process that answers. */
  async unmount() {
    this.detach();
    await this.kill();
  }
}

/**
 * Mounts a file system on a directory of its own, or on this one.
 * @param {{ options?: string[], at?: string }} [where]
 */
async function mount({ options = [], at } = {}) {
  const directory = at ?? fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-slow-'));
  const daemon = spawn(program('slowfs'), [directory, ...options], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise((resolve) => daemon.once('exit', resolve));
  const mounted = Object.assign(new Mounted(directory, daemon), { gone, isOwn: at === undefined });
  mounts.add(mounted);
  const said = await Promise.race([new Promise((resolve) => daemon.stdout.once('data', resolve)), gone]);
  if (String(said) !== 'mounted\n') {
    mounted.detach();
    throw new Error(`slowfs has not mounted: ${said}`);
  }
  daemon.stdout.resume();
  return mounted;
}

/** What a file of this `seed` holds. */
function slowBytes(length, seed = 0) {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = i + 7 * (i >> 8) + 13 * (i >> 16) + seed;
  return bytes;
}

/**
 * Runs a program text in a Node for which these system calls fail: `{ sendfile: 'EPERM' }`.
 * @param {Record<string, string>} calls
 */
function runDenied(calls, text, options = {}) {
  const pairs = Object.entries(calls).map(([call, errno]) => `${call}=${errno}`);
  return runInChild(text, { ...options, under: [program('deny'), ...pairs, '--'] });
}

/**
 * How long the event loop has been held up while `run` was under way, in ms: the 99th percentile and the longest, less
 * the interval at which it is looked at.
 */
async function loopDelay(run) {
  const { monitorEventLoopDelay } = require('node:perf_hooks');
  const resolution = 5;
  const histogram = monitorEventLoopDelay({ resolution });
  // What was due before is no delay of this run.
  await new Promise((resolve) => setTimeout(resolve, resolution));
  histogram.enable();
  await new Promise((resolve) => setTimeout(resolve, 2 * resolution));
  const result = await run();
  await new Promise((resolve) => setTimeout(resolve, 2 * resolution));
  histogram.disable();
  const less = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolution);
  return { p99: less(histogram.percentile(99)), longest: less(histogram.max), result };
}

/** How many threads of the crew are in a call that reads a file: the kernel says which call that is, and of what. */
function threadsReading() {
  const calls = new Set([pread, sendfile].map(String));
  return fs.readdirSync('/proc/self/task').filter((task) => {
    try {
      const about = (what) => fs.readFileSync(`/proc/self/task/${task}/${what}`, 'latin1');
      return about('comm') === 'sendfile-crew\n' && calls.has(about('syscall').split(' ')[0]);
    } catch {
      return false; // it has ended
    }
  }).length;
}

module.exports = { threadsReading, describeSlow, describeDenied, mount, slowBytes, runDenied, loopDelay };
