'use strict';

/**
 * The standard library for targets that the toolchain has none of: from source, rustup's rust-src or Debian's package of
 * that name in the toolchain's very version, kept in target/targets.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { lastLine, withApt } = require('./apt');
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
 * Unpacks Debian's rust-src of this version to `place`/library.
 * @returns {string} why not, or nothing
 */
function fromDebian(version, place) {
  const missing = `the standard library's source is missing: install it by "rustup component add rust-src" (${version})`;
  try {
    return withApt({ suites: ['trixie', 'trixie-backports'] }, ({ folder, run }) => {
      console.log(`getting the standard library's source (rust-src ${version}) from Debian`);
      const listed = run('apt-cache', ['madison', 'rust-src']).stdout ?? '';
      const found = listed
        .split('\n')
        .map((line) => line.split('|')[1]?.trim())
        .find((text) => text?.startsWith(`${version}+`));
      if (!found) return `${missing}; Debian has no rust-src of that version`;
      const archives = path.join(folder, 'archives');
      const got = run('apt-get', ['download', '-q', `rust-src=${found}`], archives);
      const [deb] = fs.readdirSync(archives).filter((name) => name.endsWith('.deb'));
      if (!deb) return `${missing}; apt: ${lastLine(got)}`;
      const unpacked = run('dpkg-deb', ['-x', path.join(archives, deb), path.join(folder, 'root')]);
      const library = path.join(folder, 'root', 'usr', 'src', `rustc-${version}`, 'library');
      if (!fs.existsSync(library)) return `${missing}; ${deb} does not hold it ${unpacked.stderr ?? ''}`;
      fs.cpSync(library, path.join(place, 'library'), { recursive: true });
      return '';
    });
  } catch (error) {
    return `${missing}; ${error.message}`;
  }
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
