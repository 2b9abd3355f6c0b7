'use strict';

/**
 * Makes a fresh clone runnable: installs node_modules and builds the addon when they are missing or out of date.
 * Runs before node_modules exists, so it uses Node's core modules only.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { names } = require('../lib/target');
const { withLock } = require('./lock');

const root = path.join(__dirname, '..');
const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src'];
/** What @napi-rs/cli runs on. */
const BUILD_NODE = [20, 17];
/** The file name napi gives the addon, e.g. rs-sendfile.linux-x64-gnu.node. */
const ADDON = `rs-sendfile.${names[0]}.node`;
const LOCK = path.join(root, 'target', 'ensure.lock');
const NO_RUST = {
  missing:
    `Rust (cargo, rustc) is not on the PATH and ${ADDON} is not built: ` +
    'install Rust from https://rustup.rs, or put a prebuilt binary of that name into the package directory.',
  stale:
    `Rust (cargo, rustc) is not on the PATH and ${ADDON} is older than its sources: ` +
    'install Rust from https://rustup.rs, or put a newer prebuilt binary into the package directory.',
  fresh:
    'Rust (cargo, rustc) is not on the PATH and part of the tests is in Rust: install it from https://rustup.rs.',
};

/**
 * @param {{ rust?: boolean, addon?: boolean }} [options] `rust`: the caller needs cargo itself, even if nothing is to be
 *   built. `addon: false`: it needs the development tools alone.
 */
function ensure({ rust = false, addon = true } = {}) {
  if (!addon) return withLock(LOCK, say, install);
  // The tools are asked for first: without them there is no point in downloading anything.
  const state = addonState();
  if (state === 'missing' && !canBuild()) {
    fail(
      `${ADDON} is not built, and building needs Node ${BUILD_NODE.join('.')} or newer (this is ${process.versions.node}): ` +
        'build it with a newer Node, or put a prebuilt one into the package directory.',
    );
  }
  if ((rust || (state !== 'fresh' && canBuild())) && !hasRust()) fail(NO_RUST[state]);

  withLock(LOCK, say, () => {
    install();
    build();
  });
}

function install() {
  if (installed()) return;
  say('installing the development tools (npm ci)');
  npm(['ci', '--include=dev', '--no-audit', '--no-fund']);
}

function build() {
  // Asked again, under the lock: another process may have built it meanwhile.
  const state = addonState();
  if (state === 'fresh') return;
  const why = state === 'missing' ? 'is missing' : 'is older than its sources';
  if (!canBuild()) return say(`${ADDON} ${why}, but Node ${process.versions.node} is too old to rebuild it`);
  say(`${ADDON} ${why}: building it (npm run build)`);
  const started = new Date();
  npm(['run', 'build']);
  if (addonState() === 'missing') fail(`npm run build made no ${ADDON}.`);
  // Sources edited while the compiler ran are newer than what it made.
  fs.utimesSync(path.join(root, ADDON), started, started);
}

/** @returns {'fresh' | 'stale' | 'missing'} */
function addonState() {
  const built = mtime(ADDON);
  if (built === 0) return 'missing';
  return Math.max(...SOURCES.map(newest)) > built ? 'stale' : 'fresh';
}

/** The newest change in a file or tree. A directory counts itself: its time changes when a file is taken away. */
function newest(name) {
  const own = mtime(name);
  if (own === 0 || !fs.statSync(path.join(root, name)).isDirectory()) return own;
  return Math.max(
    own,
    ...fs.readdirSync(path.join(root, name)).map((entry) => newest(path.join(name, entry))),
  );
}

function mtime(name) {
  return fs.statSync(path.join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Whether node_modules holds what the lockfile asks for. npm writes its own record there last of all. */
function installed() {
  try {
    const wanted = readPackages('package-lock.json');
    const found = readPackages('node_modules/.package-lock.json');
    return Object.entries(wanted).every(([name, { version, optional }]) => {
      // Optional ones are for other platforms.
      return name === '' || found[name]?.version === version || (optional && !found[name]);
    });
  } catch (err) {
    if (err.code === 'ENOENT') return false;
    throw err;
  }
}

function readPackages(name) {
  return JSON.parse(fs.readFileSync(path.join(root, name), 'utf8')).packages;
}

function canBuild() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > BUILD_NODE[0] || (major === BUILD_NODE[0] && minor >= BUILD_NODE[1]);
}

function hasRust() {
  return ['cargo', 'rustc'].every(
    (tool) => spawnSync(tool, ['--version'], { cwd: root, stdio: 'ignore' }).status === 0,
  );
}

function npm(args) {
  // The npm that runs us, if one does: it needs no shell, and its version is the one the user chose.
  const cli = process.env.npm_execpath;
  const { status, error } = /npm-cli\.js$/.test(cli ?? '')
    ? spawnSync(process.execPath, [cli, ...args], { cwd: root, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' });
  if (error) fail(`npm does not run: ${error.message}`);
  if (status !== 0) fail(`npm ${args.slice(0, 2).join(' ')} failed; its output above says why.`);
}

function say(text) {
  console.log(`rs-sendfile: ${text}`);
}

/** @returns {never} */
function fail(text) {
  console.error(`rs-sendfile: ${text}`);
  process.exit(1);
}

module.exports = { ensure };

if (require.main === module) ensure();
