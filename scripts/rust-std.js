'use strict';

/**
 * The standard library for targets that the toolchain has none of: from source, rustup's rust-src or Debian's package of
 * that name in the toolchain's very version, kept in target/targets.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { withLock } = require('./lock');

const root = path.join(__dirname, '..');
const work = path.join(root, 'target', 'targets');

/**
 * @typedef {{ sysroot: string, version: string }} Toolchain
 * @returns {Toolchain | null}
 */
function askToolchain() {
  const ask = (...args) => spawnSync('rustc', args, { cwd: root, encoding: 'utf8' }).stdout?.trim();
  if (!ask('-vV')) return null;
  const version = /^release: (\S+)/m.exec(ask('-vV'))[1];
  return { sysroot: ask('--print', 'sysroot'), version };
}

/** Whether the toolchain has this target's standard library (`rustup target add`). */
function isInstalled({ sysroot }, triple) {
  return fs.existsSync(path.join(sysroot, 'lib', 'rustlib', triple, 'lib'));
}

/** How cargo is told to compile the standard library too. Panics unwind; backtraces are not looked at. */
function fromSource(library) {
  return {
    args: ['-Zbuild-std=std', '-Zbuild-std-features=panic-unwind'],
    env: { __CARGO_TESTS_ONLY_SRC_ROOT: library },
  };
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

module.exports = { askToolchain, fromSource, isInstalled, standardLibrary, work };
