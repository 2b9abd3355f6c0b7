'use strict';

/**
 * `npm run test:system`: what holds on the system that this is, whichever that is. Needs Node and, except on Windows,
 * where there is no addon, Rust; of npm's packages none, since the development tools do not run everywhere.
 *
 * The Rust tests, over this kernel's own call; the addon, built in target/ by cargo alone; then the programs of
 * `__test__/systems`: with that addon, and without any. The last line is `N passed, N failed`.
 */

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { libc, platform } = require('../lib/target');
const { runProgram } = require('./program');
const { cargoTotals, counts, summarize } = require('./totals');

const root = path.join(__dirname, '..');
const programs = path.join(root, '__test__', 'systems');
/** Systems whose kernel has no sendfile: their addon waits and copies. */
const WITHOUT_CALL = ['netbsd', 'openbsd'];
/** What cargo makes of a library. */
const LIBRARY = platform === 'darwin' ? 'librs_sendfile.dylib' : 'librs_sendfile.so';
const ADDON = path.join(root, 'target', 'system', 'rs-sendfile.node');
/** Compiling on a slow virtual machine. */
const LIMIT_MS = 60 * 60 * 1000;
/** A program that hangs must not hang the rest. */
const PROGRAM_LIMIT_MS = 2 * 60 * 1000;

async function main() {
  const rows = [];
  if (platform === 'win32') {
    console.log('Windows has no addon: what is tested is the copying, in JS.');
  } else if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) {
    console.error('rs-sendfile: Rust (cargo, rustc) is not on the PATH: install it from https://rustup.rs.');
    rows.push({ title: 'Rust', passed: 0, failed: 1 });
  } else {
    console.log('== cargo test');
    const { ok, output } = await cargo('test', '--no-default-features', '--no-fail-fast');
    const totals = cargoTotals(output) ?? { passed: 0, failed: 1 };
    rows.push({ title: 'cargo test', ...totals, failed: ok ? totals.failed : Math.max(totals.failed, 1) });
    console.log('\n== cargo build');
    const built = (await cargo('build', '--release')).ok;
    if (built) keepAddon();
    else rows.push({ title: 'cargo build', passed: 0, failed: 1 });
    if (built && !WITHOUT_CALL.includes(platform)) rows.push(await run('kernel.js', ADDON));
    if (built) rows.push(await run('copying.js', ADDON));
  }
  rows.push(await run('copying.js', null));
  summarize(rows, (row) => `${row.title.padEnd(28)}  ${counts(row)}`);
}

/** @param {string} name @param {string | null} addon */
async function run(name, addon) {
  const title = addon ? name : `${name}, without an addon`;
  console.log(`\n== ${title}`);
  const own = { NODE_OPTIONS: '', NAPI_RS_NATIVE_LIBRARY_PATH: addon ?? path.join(programs, 'none.node') };
  const options = { cwd: root, env: { ...process.env, ...own }, limit: PROGRAM_LIMIT_MS };
  return { title, ...(await runProgram(process.execPath, [path.join(programs, name)], options)) };
}

function keepAddon() {
  fs.mkdirSync(path.dirname(ADDON), { recursive: true });
  fs.copyFileSync(path.join(root, 'target', 'release', LIBRARY), ADDON);
}

/** Its output goes straight to the terminal; what its tests say is kept as well. */
function cargo(...args) {
  return new Promise((resolve) => {
    // A library of its own is nothing that a static C library has room for.
    const flags = libc === 'musl' ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {};
    const child = spawn('cargo', args, {
      cwd: root,
      env: { ...process.env, ...flags },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: LIMIT_MS,
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('error', (error) => console.error(error.message));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

main();
