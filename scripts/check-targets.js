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

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { withLock } = require('./lock');

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
const work = path.join(root, 'target', 'targets');

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
  const wanted = chosen.filter(({ skip }) => !skip);
  const [ready, bare] = split(wanted, ({ triple }) =>
    fs.existsSync(path.join(toolchain.sysroot, 'lib', 'rustlib', triple, 'lib')),
  );
  const features = args.includes('--each-kernel') ? ['--no-default-features'] : [];
  const source = bare.length > 0 ? standardLibrary(toolchain) : {};
  const results = new Map();
  await check(ready, toolchain, { args: features }, results);
  if (source.library) {
    const [mended, plain] = split(bare, (target) => target.mended);
    const how = fromSource(source.library, features);
    await check(plain, toolchain, how, results);
    if (mended.length > 0) await check(mended, toolchain, withPolling(how), results);
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

function askToolchain() {
  const ask = (...args) => spawnSync('rustc', args, { cwd: root, encoding: 'utf8' }).stdout?.trim();
  if (!ask('-vV')) return null;
  const version = /^release: (\S+)/m.exec(ask('-vV'))[1];
  const clippy = spawnSync('cargo', ['clippy', '--version'], { cwd: root, stdio: 'ignore' }).status === 0;
  return { sysroot: ask('--print', 'sysroot'), version, clippy };
}

/**
 * All these targets by one run of cargo, which fills every core; a line for each as it is done.
 * @param {{ triple: string }[]} targets
 * @param {{ clippy: boolean }} toolchain
 * @param {{ args?: string[], env?: Record<string, string> }} how
 * @param {Map<string, boolean>} results
 */
async function check(targets, { clippy }, { args = [], env = {} }, results) {
  if (targets.length === 0) return;
  const start = Date.now();
  const run = (triples, format, onLine) =>
    cargo(
      [
        ...[clippy ? 'clippy' : 'check', '--lib', '--keep-going', `--message-format=${format}`, ...args],
        ...triples.flatMap((triple) => ['--target', triple]),
        ...(clippy ? ['--', '-D', 'warnings', ...MISTAKEN] : []),
      ],
      { ...env, ...(clippy ? {} : { RUSTFLAGS: '-D warnings' }) },
      onLine,
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

/** @returns {Promise<boolean>} */
function cargo(args, env, onLine) {
  return new Promise((resolve) => {
    const child = spawn('cargo', args, {
      cwd: root,
      // Checking std asks for RUSTC_BOOTSTRAP; set for some runs only, it would make each undo what the other has built.
      env: {
        ...process.env,
        CARGO_TARGET_DIR: work,
        CARGO_INCREMENTAL: '0',
        CARGO_TERM_COLOR: 'never',
        RUSTC_BOOTSTRAP: '1',
        ...env,
      },
      // What cargo says of its progress is of no use where lines do not move.
      stdio: ['ignore', 'pipe', args.includes('--message-format=json') ? 'ignore' : 'inherit'],
    });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) onLine(line);
    });
    child.on('error', (err) => {
      console.error(err.message);
      resolve(false);
    });
    child.on('close', (code) => resolve(code === 0));
  });
}

/** How cargo is told to check the standard library too. Panics unwind; backtraces are not looked at. */
function fromSource(library, args) {
  return {
    args: [...args, '-Zbuild-std=std', '-Zbuild-std-features=panic-unwind'],
    env: { __CARGO_TESTS_ONLY_SRC_ROOT: library },
  };
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

/** @returns {{ library?: string, reason?: string }} */
function standardLibrary({ sysroot, version }) {
  const own = path.join(sysroot, 'lib', 'rustlib', 'src', 'rust', 'library');
  const place = path.join(work, `std-${version}`);
  const kept = path.join(place, 'library');
  let reason = '';
  withLock(path.join(work, 'std.lock'), console.log, () => {
    if (fs.existsSync(kept)) return;
    const aside = `${place}.${process.pid}`;
    fs.rmSync(aside, { recursive: true, force: true });
    fs.mkdirSync(aside, { recursive: true });
    if (fs.existsSync(own)) fs.cpSync(own, path.join(aside, 'library'), { recursive: true });
    else reason = fromDebian(version, aside);
    if (reason === '') {
      mendForAix(path.join(aside, 'library'));
      fs.renameSync(aside, place);
    }
    fs.rmSync(aside, { recursive: true, force: true });
  });
  return reason === '' ? { library: kept } : { reason };
}

/**
 * Unpacks Debian's rust-src of this version to `place`/library, by an apt of our own that leaves the machine's alone.
 * @returns {string} why not, or nothing
 */
function fromDebian(version, place) {
  const missing = `the standard library's source is missing: install it by "rustup component add rust-src" (${version})`;
  const mirror = debianMirror();
  if (mirror === null) return `${missing}; this is no Debian, which has a package of it`;
  const apt = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-apt-'));
  try {
    for (const folder of ['lists/partial', 'archives/partial', 'state', 'debs'])
      fs.mkdirSync(path.join(apt, folder), { recursive: true });
    fs.writeFileSync(path.join(apt, 'state', 'status'), '');
    const signed = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
    const suites = ['trixie', 'trixie-backports'];
    fs.writeFileSync(
      path.join(apt, 'sources.list'),
      suites.map((suite) => `deb ${signed} ${mirror} ${suite} main\n`).join(''),
    );
    fs.writeFileSync(
      path.join(apt, 'apt.conf'),
      [
        `Dir::State "${apt}/state"; Dir::State::lists "${apt}/lists"; Dir::State::status "${apt}/state/status";`,
        `Dir::Cache "${apt}"; Dir::Etc::sourcelist "${apt}/sources.list"; Dir::Etc::sourceparts "/dev/null";`,
        'APT::Sandbox::User ""; Acquire::Languages "none";',
      ].join('\n'),
    );
    const run = (command, args, cwd = apt) =>
      spawnSync(command, args, {
        cwd,
        encoding: 'utf8',
        env: { ...process.env, APT_CONFIG: `${apt}/apt.conf` },
        timeout: 5 * 60 * 1000,
      });
    console.log(`getting the standard library's source (rust-src ${version}) from Debian`);
    run('apt-get', ['update', '-q']);
    const listed = run('apt-cache', ['madison', 'rust-src']).stdout ?? '';
    const found = listed
      .split('\n')
      .map((line) => line.split('|')[1]?.trim())
      .find((text) => text?.startsWith(`${version}+`));
    if (!found) return `${missing}; Debian has no rust-src of that version`;
    const got = run('apt-get', ['download', '-q', `rust-src=${found}`], path.join(apt, 'debs'));
    const [deb] = fs.readdirSync(path.join(apt, 'debs')).filter((name) => name.endsWith('.deb'));
    if (!deb) return `${missing}; apt: ${(got.stderr || got.error?.message || '').trim().split('\n').at(-1)}`;
    const unpacked = run('dpkg-deb', ['-x', path.join(apt, 'debs', deb), path.join(apt, 'root')]);
    const library = path.join(apt, 'root', 'usr', 'src', `rustc-${version}`, 'library');
    if (!fs.existsSync(library)) return `${missing}; ${deb} does not hold it ${unpacked.stderr ?? ''}`;
    fs.cpSync(library, path.join(place, 'library'), { recursive: true });
    return '';
  } finally {
    fs.rmSync(apt, { recursive: true, force: true });
  }
}

/** Where this machine's apt gets Debian from, or null. */
function debianMirror() {
  const folder = '/etc/apt/sources.list.d';
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).map((name) => path.join(folder, name)) : [];
  for (const file of [...files, '/etc/apt/sources.list']) {
    if (!fs.existsSync(file)) continue;
    const text = fs.readFileSync(file, 'utf8');
    const found = /^(?:URIs:|deb(?: \[[^\]]*\])?) *(\S*\/debian)\/?(?:\s|$)/m.exec(text);
    if (found) return found[1];
  }
  return null;
}

/** AIX's std names fields that its own libc has under other names: without this it does not compile (1.95). */
function mendForAix(library) {
  for (const file of ['std/src/os/aix/fs.rs', 'std/src/sys/fs/unix.rs']) {
    const place = path.join(library, file);
    const text = fs.readFileSync(place, 'utf8');
    fs.writeFileSync(place, text.replace(/\bst_([amc])time\.tv_/g, 'st_$1tim.tv_'));
  }
}

function split(list, test) {
  return [list.filter(test), list.filter((item) => !test(item))];
}

main(process.argv.slice(2));
