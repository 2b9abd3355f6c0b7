'use strict';

/** Why there is no native side, in one line each: what was found, and what helps. */

/**
 * @typedef {{ name: string, os: string, cpu: string, libc?: string }} Prebuilt
 * @typedef {{ arch: string, libc: string | null }} Process
 */

const BUILD = 'build one from source with Rust (README, "From source")';

/** @param {string} name */
const packageOf = (name) => `rs-sendfile-${name}`;

/**
 * The command that installs a binary, also from another machine: npm heeds the flags for optional packages alone.
 * @param {Prebuilt} prebuilt
 * @param {string} version
 */
function installLine({ name, os, cpu, libc }, version) {
  const flags = [`--os=${os}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : [])].join(' ');
  return `"npm install --no-save --save-optional ${flags} ${packageOf(name)}@${version}"`;
}

/**
 * @param {Prebuilt} prebuilt
 * @param {string} version
 * @param {{ libc: string | null, isUnsure: boolean, others: string[] }} seen `others`: binaries that are installed
 */
function missing(prebuilt, version, { libc, isUnsure, others }) {
  const { name } = prebuilt;
  const here = libc
    ? ` (this process runs on ${libc})`
    : isUnsure
      ? ' (nothing tells glibc from musl here)'
      : '';
  const why =
    others.length > 0
      ? `${others.map(packageOf).join(', ')} is installed instead: node_modules was made on another platform.`
      : 'npm leaves it out with --omit=optional, and with a package-lock.json or node_modules that was made on ' +
        'another platform: then remove both and install again.';
  return (
    `no binary for ${name}${here}: the package ${packageOf(name)}@${version} is not installed. ` +
    `Install it with ${installLine(prebuilt, version)}. ${why}`
  );
}

/**
 * @param {Prebuilt} prebuilt
 * @param {string} version ours
 * @param {unknown} found its
 */
function otherVersion(prebuilt, version, found) {
  return (
    `the package ${packageOf(prebuilt.name)} is of version ${found}, and rs-sendfile of ${version}: they belong ` +
    `together. Install it with ${installLine(prebuilt, version)}.`
  );
}

/**
 * @param {Prebuilt} prebuilt
 * @param {string} version
 * @param {string} what
 */
function broken(prebuilt, version, what) {
  return `the package ${packageOf(prebuilt.name)} is broken: ${what}. Install it again with ${installLine(prebuilt, version)}.`;
}

/** @param {string} name */
function notMade(name) {
  return `no binary is published for ${name}: ${BUILD}. Until then transfers copy.`;
}

/** @param {number} armVersion */
function oldArm(armVersion) {
  return `this Node is made for ARMv${armVersion}, the published binary for ARMv7: ${BUILD}. Until then transfers copy.`;
}

function windows() {
  return 'Windows has no addon: its sendfile takes a SOCKET, which Node does not hand out. Transfers copy.';
}

/** @param {string} file */
function absent(file) {
  return `${file} does not exist`;
}

/**
 * @param {string} file
 * @param {{ length: number, found: number }} elf
 */
function cutOff(file, { length, found }) {
  return `${file} is cut off: it has ${found} bytes of ${length}`;
}

/**
 * @param {string} file
 * @param {string} built
 * @param {string} arch
 */
function otherArch(file, built, arch) {
  return `${file} does not load: it is built for ${built}, and this process is ${arch}`;
}

/**
 * @param {string} file
 * @param {string} version
 * @param {string} name a function that it has not
 */
function foreign(file, version, name) {
  return `${file} is no binary of rs-sendfile ${version}: it has no ${name}()`;
}

/**
 * What the loader said, and what it means.
 * @param {string} file
 * @param {{ code?: string, message: string }} error
 * @param {{ libc: string | null, glibc: () => string | undefined, needed: string[] }} seen `needed`: libraries that the file asks for
 */
function notLoaded(file, { code, message }, { libc, glibc, needed }) {
  const said = `${file} does not load: ${message.split('\n')[0]}`;
  if (code === 'ERR_DLOPEN_DISABLED') {
    return `${said} The permission model allows addons by --allow-addons; --no-addons forbids them.`;
  }
  const built = libcOfNeeded(needed);
  if (libc && built && built !== libc)
    return `${said}: it is built for ${built}, and this process runs on ${libc}`;
  if (/GLIBC_\d/.test(message)) {
    return `${said}: it needs a newer glibc than ${glibc() ?? 'that of this system'}; ${BUILD}`;
  }
  return said;
}

/**
 * The C library that a Linux binary asks for.
 * @param {string[]} needed
 */
function libcOfNeeded(needed) {
  if (needed.some((name) => name === 'libc.so' || name.startsWith('libc.musl-'))) return 'musl';
  return needed.includes('libc.so.6') ? 'glibc' : null;
}

module.exports = {
  packageOf,
  missing,
  otherVersion,
  broken,
  notMade,
  oldArm,
  windows,
  absent,
  cutOff,
  otherArch,
  foreign,
  notLoaded,
};
