'use strict';

/**
 * `npm run test:safety [-- words]`: the native side under tools that see what a test does not. The last line is
 * `N passed, N failed`; a tool that cannot be had, or a run that did not count to its end, is 1 failed. With words, only
 * the runs whose names have one of them.
 *
 *  - shuttle: the engine's threads in thousands of orders (src/engine/schedules);
 *  - AddressSanitizer: the tests of the core, with leaks, and the addon inside Node;
 *  - valgrind: the tests of the core, for memory that is read, or given to the kernel, before anybody wrote it;
 *  - strace: no descriptor is closed twice by the tests of the core.
 */

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { ensure } = require('./ensure');
const { runJest } = require('./jest');
const { cargoTotals, counts, summarize } = require('./totals');

const root = path.join(__dirname, '..');
const target = path.join(root, 'target', 'safety');
const ADDON = path.join(target, 'asan.node');
/** A run that hangs must not hang the rest. */
const LIMIT_MS = 5 * 60 * 1000;
/** Core only: no Node inside the test binary. */
const CORE = ['test', '--lib', '--no-default-features'];
/** The sanitizers are part of every toolchain, but only nightly admits to it. */
const ASAN = { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Zsanitizer=address' };
/** Where the addon's own memory goes through JS, through threads and through the end of an environment. */
const FILES = [
  'model',
  'abort',
  'slow-readers',
  'queued-response',
  'order',
  'headers',
  'descriptors',
  'wait-writable',
].map((name) => `__test__/${name}`);
/** What valgrind's slow motion, or its kernel, which has no cachestat(2), would change. */
const NOT_IN_VALGRIND = [
  'their_steps_are_the_crews_and_those_of_others_the_leaders',
  'whatever_',
  'attempts_by_their_counts',
].flatMap((name) => ['--skip', name]);

async function main(words) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.log(`valgrind, strace and gcc's libasan: not set up for ${process.platform} ${process.arch}.`);
    console.log('0 passed, 0 failed');
    return;
  }
  ensure({ rust: true });
  const rows = [];
  const run = async (name, step) => {
    if (words.length > 0 && !words.some((word) => name.includes(word))) return;
    console.log(`\n== ${name}`);
    const started = Date.now();
    rows.push({ name, ...(await step()), seconds: (Date.now() - started) / 1000 });
  };
  await run('orders of threads (shuttle)', shuttle);
  await run('core (AddressSanitizer)', asanCore);
  await run('addon in Node (AddressSanitizer)', asanAddon);
  await run('core (valgrind)', valgrind);
  await run('descriptors closed twice (strace)', strace);
  summarize(rows, (row) => {
    const seconds = row.seconds.toFixed(1).padStart(7);
    return `${row.name.padEnd(34)} ${seconds} s  ${counts(row)}`;
  });
}

const FAILED = { passed: 0, failed: 1 };

function shuttle() {
  const args = [...CORE, '--target-dir', path.join(target, 'shuttle'), 'schedules'];
  return counted('cargo', args, { RUSTFLAGS: '--cfg shuttle' });
}

function asanCore() {
  const args = [...CORE, '--target', triple(), '--target-dir', target];
  return counted('cargo', args, { ...ASAN, ASAN_OPTIONS: 'detect_leaks=1' });
}

/** The runtime is gcc's: an addon has none of its own, and Node must have one before it starts. */
async function asanAddon() {
  const runtime = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim();
  if (!runtime || !path.isAbsolute(runtime)) return missing('libasan', 'it comes with gcc');
  const built = await exec('cargo', ['build', '--target', triple(), '--target-dir', target], ASAN);
  if (built.code !== 0) return FAILED;
  fs.copyFileSync(path.join(target, triple(), 'debug', 'librs_sendfile.so'), ADDON);
  return runJest({
    // One process, which is the one that is looked at; Node's own leaks are not ours to tell.
    args: [...FILES, '--runInBand', '--setupFiles', path.join(__dirname, 'safety-addon.js')],
    limit: LIMIT_MS,
    env: {
      LD_PRELOAD: fs.realpathSync(runtime),
      ASAN_OPTIONS: 'detect_leaks=0:handle_segv=0:exitcode=66',
      RS_SENDFILE_SAFETY_ADDON: ADDON,
    },
  });
}

function valgrind() {
  if (!has('valgrind')) return missing('valgrind', 'Debian: apt-get install valgrind');
  const args = [
    '--quiet',
    '--error-exitcode=99',
    '--leak-check=full',
    '--show-leak-kinds=definite',
    '--errors-for-leak-kinds=definite',
    testBinary(),
    '--test-threads=2',
    ...NOT_IN_VALGRIND,
  ];
  return counted(
    'valgrind',
    args,
    {},
    /^--\d+-- (WARNING: unhandled|You may|Read the|Nevertheless|it at).*\n/gm,
  );
}

async function strace() {
  if (!has('strace')) return missing('strace', 'Debian: apt-get install strace');
  const log = path.join(target, 'closes.log');
  const args = [
    '-f',
    '-qq',
    '-e',
    'signal=none',
    '-e',
    'trace=close',
    '-e',
    'status=failed',
    '-o',
    log,
    testBinary(),
    '--skip',
    'whatever_',
  ];
  const { passed, failed } = await counted('strace', args, {});
  const twice = fs.readFileSync(log, 'utf8').trim();
  if (twice !== '') console.error(`closed twice:\n${twice}`);
  return { passed, failed: failed + (twice === '' ? 0 : 1) };
}

/** The tests of the core as `npm test` builds them. */
function testBinary() {
  const { stdout } = spawnSync('cargo', [...CORE, '--no-run', '--message-format=json'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const artifacts = stdout.split('\n').filter((line) => line.includes('"executable":"'));
  return JSON.parse(artifacts.at(-1)).executable;
}

function triple() {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' });
  return /^host: (.*)$/m.exec(stdout)[1];
}

function has(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

function missing(tool, remedy) {
  console.error(`rs-sendfile: ${tool} cannot be had here: ${remedy}`);
  return FAILED;
}

/** Runs a test binary, or cargo, and adds up what it says. A report of the tool itself is 1 failed. */
async function counted(file, args, env, noise) {
  const { code, output } = await exec(file, args, env, noise);
  const totals = cargoTotals(output);
  if (!totals || totals.passed === 0) return FAILED;
  return { passed: totals.passed, failed: code === 0 ? totals.failed : Math.max(totals.failed, 1) };
}

/** Output goes to the terminal as well, without `noise`. */
function exec(file, args, env = {}, noise = /(?!)/g) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => {
      console.error(`rs-sendfile: not done after ${LIMIT_MS / 60_000} minutes: ended`);
      child.kill('SIGKILL');
    }, LIMIT_MS);
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        chunks.push(chunk);
        process.stdout.write(chunk.toString().replace(noise, ''));
      });
    }
    child.on('error', (error) => console.error(error.message));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output: Buffer.concat(chunks).toString().replace(noise, '') });
    });
  });
}

main(process.argv.slice(2));
