'use strict';

/**
 * `npm run check:targets [-- --each-kernel] [word ...]`: type-checks the addon for every system it is written for, with
 * clippy where that is installed, on this one. A word picks the targets that have it in their names; --each-kernel picks
 * one for each file of src/sys and each width and C library that matters there, and leaves out the binding to Node,
 * which knows no systems.
 *
 * A target's standard library is the toolchain's own if it is installed (`rustup target add`). Otherwise it is checked
 * from source: rustup's rust-src, or Debian's package of that name in the toolchain's very version, kept in
 * target/targets with all else, so that a second run is quick. A target that cannot be checked is skipped, and says why.
 * The last line is `N passed, N failed`.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { runCargo } = require('./run-cargo');
const { askToolchain, fromSource, isInstalled, standardLibrary, work } = require('./rust-std');

const TARGETS = [
  { triple: 'x86_64-unknown-linux-gnu', kernel: true },
  { triple: 'aarch64-unknown-linux-gnu' },
  { triple: 'armv7-unknown-linux-gnueabihf', kernel: true },
  { triple: 'powerpc64le-unknown-linux-gnu' },
  { triple: 's390x-unknown-linux-gnu' },
  { triple: 'riscv64gc-unknown-linux-gnu' },
  { triple: 'x86_64-unknown-linux-musl', kernel: true },
  { triple: 'aarch64-unknown-linux-musl' },
  { triple: 'aarch64-linux-android', kernel: true },
  { triple: 'x86_64-apple-darwin' },
  { triple: 'aarch64-apple-darwin', kernel: true },
  { triple: 'x86_64-unknown-freebsd', kernel: true },
  { triple: 'x86_64-unknown-dragonfly', kernel: true },
  { triple: 'x86_64-unknown-illumos', kernel: true },
  { triple: 'x86_64-pc-solaris' },
  // polling 3.11 asks rustix for a call that rustix does not have there.
  { triple: 'powerpc64-ibm-aix', kernel: true, mended: 'polling' },
  { triple: 'x86_64-unknown-netbsd', kernel: true },
  { triple: 'x86_64-unknown-openbsd' },
  {
    triple: 'x86_64-pc-windows-gnu',
    skip: 'no addon is made for Windows: its sendfile takes a SOCKET, which Node does not hand out, so transfers copy',
  },
];

/** What clippy says where a target has no thread-locals of its own, of initializers that are const already. */
const MISTAKEN = ['-A', 'clippy::missing_const_for_thread_local'];

const root = path.join(__dirname, '..');

async function main(args) {
  const words = args.filter((arg) => arg !== '--each-kernel');
  const chosen = TARGETS.filter(
    ({ triple, kernel, skip }) =>
      (words.length === 0 || words.some((word) => triple.includes(word))) &&
      (!args.includes('--each-kernel') || kernel || skip),
  );
  if (chosen.length === 0) {
    console.error(`rs-sendfile: no target has ${words.join(' or ')} in its name`);
    process.exitCode = 1;
    return;
  }
  const toolchain = askToolchain();
  if (toolchain === null) {
    console.error('rs-sendfile: Rust (cargo, rustc) is not on the PATH: install it from https://rustup.rs.');
    process.exitCode = 1;
    return;
  }
  const clippy = spawnSync('cargo', ['clippy', '--version'], { cwd: root, stdio: 'ignore' }).status === 0;
  const wanted = chosen.filter(({ skip }) => !skip);
  const [ready, bare] = split(wanted, ({ triple }) => isInstalled(toolchain, triple));
  const features = args.includes('--each-kernel') ? ['--no-default-features'] : [];
  const source = bare.length > 0 ? standardLibrary(toolchain) : {};
  const results = new Map();
  await check(ready, clippy, { args: features }, results);
  if (source.library) {
    const [mended, plain] = split(bare, (target) => target.mended);
    const std = fromSource(source.library);
    const how = { args: [...features, ...std.args], env: std.env };
    await check(plain, clippy, how, results);
    if (mended.length > 0) await check(mended, clippy, withPolling(how), results);
  }

  let passed = 0;
  let failed = 0;
  const skipped = [
    ...chosen.filter(({ skip }) => skip),
    ...(source.library ? [] : bare.map(({ triple }) => ({ triple, skip: source.reason }))),
  ];
  for (const { triple } of wanted) {
    if (!results.has(triple)) continue;
    if (results.get(triple)) passed++;
    else failed++;
  }
  for (const { triple, skip } of skipped) console.log(`SKIPPED ${triple}: ${skip}`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
  console.log(`${passed} passed, ${failed} failed`);
}

/**
 * All these targets by one run of cargo, which fills every core; a line for each as it is done.
 * @param {{ triple: string }[]} targets
 * @param {boolean} clippy
 * @param {{ args?: string[], env?: Record<string, string> }} how
 * @param {Map<string, boolean>} results
 */
async function check(targets, clippy, { args = [], env = {} }, results) {
  if (targets.length === 0) return;
  const start = Date.now();
  const run = (triples, format, onLine) =>
    runCargo(
      [
        ...[clippy ? 'clippy' : 'check', '--lib', '--keep-going', `--message-format=${format}`, ...args],
        ...triples.flatMap((triple) => ['--target', triple]),
        ...(clippy ? ['--', '-D', 'warnings', ...MISTAKEN] : []),
      ],
      { env: { CARGO_TARGET_DIR: work, ...env, ...(clippy ? {} : { RUSTFLAGS: '-D warnings' }) }, onLine },
    );
  console.log(`checking ${targets.length} targets with cargo ${clippy ? 'clippy' : 'check'}`);
  await run(
    targets.map(({ triple }) => triple),
    'json',
    (line) => {
      const done = line.startsWith('{"reason":"compiler-artifact"') ? artifact(JSON.parse(line)) : null;
      if (done === null || results.has(done)) return;
      results.set(done, true);
      console.log(`ok ${done} (after ${((Date.now() - start) / 1000).toFixed(0)} s)`);
    },
  );
  for (const { triple } of targets) {
    if (results.has(triple)) continue;
    // Once more and alone: what is wrong with it, in words.
    const ok = await run([triple], 'human', (line) => console.log(line));
    results.set(triple, ok);
    console.log(`${ok ? 'ok' : 'FAIL'} ${triple}`);
  }
}

/** The triple for which our own crate is done. */
function artifact({ target, filenames }) {
  if (target.name !== 'rs_sendfile') return null;
  const name = filenames.map((file) => path.relative(work, file).split(path.sep)[0])[0];
  return TARGETS.some(({ triple }) => triple === name) ? name : null;
}

/** The same over a copy of polling that compiles on AIX: our own files are looked at there, while the addon has to wait. */
function withPolling({ args, env }) {
  const asked = spawnSync('cargo', ['metadata', '--format-version', '1', '--locked'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const { packages } = JSON.parse(asked.stdout);
  const { manifest_path: manifest } = packages.find(({ name }) => name === 'polling');
  const copy = path.join(work, 'polling');
  fs.rmSync(copy, { recursive: true, force: true });
  fs.cpSync(path.dirname(manifest), copy, { recursive: true });
  const file = path.join(copy, 'src', 'poll.rs');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, text.replaceAll('target_os = "haiku", target_os = "nto"', '$&, target_os = "aix"'));
  console.log('powerpc64-ibm-aix: with polling mended for it, without which the addon cannot be built there');
  return { args: [...args, '--config', `paths=[${JSON.stringify(copy)}]`], env };
}

function split(list, test) {
  return [list.filter(test), list.filter((item) => !test(item))];
}

main(process.argv.slice(2));
