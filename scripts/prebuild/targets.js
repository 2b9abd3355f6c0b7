'use strict';

/** What is made for each platform of lib/prebuilt.js: how it is compiled, and what the file has to be. */

const { prebuilt } = require('../../lib/prebuilt');

/**
 * @typedef {object} Target
 * @property {string} name    as in lib/prebuilt.js
 * @property {string} os
 * @property {string} cpu
 * @property {string} [libc]
 * @property {string} triple  Rust's name
 * @property {string} [glibc] the oldest C library that it has to run on
 * @property {string} [fbsd]  the newest of FreeBSD's sets of symbols that it may ask for
 * @property {string} [macos] the oldest macOS
 * @property {string[]} flags rustc's
 * @property {string} format  'ELF' or 'Mach-O'
 * @property {string} arch    as elf.js and macho.js name it
 * @property {string[]} sendfile  the names, one of which it has to import
 * @property {RegExp} libraries  what it may need
 */

const GLIBC = '2.17';
const MACOS = '11.0';

const TRIPLES = {
  'linux-x64-gnu': { triple: 'x86_64-unknown-linux-gnu', arch: 'x86_64' },
  'linux-arm64-gnu': { triple: 'aarch64-unknown-linux-gnu', arch: 'aarch64' },
  'linux-arm-gnueabihf': { triple: 'armv7-unknown-linux-gnueabihf', arch: 'arm-hardfloat' },
  // Little-endian came to glibc's PowerPC with 2.19, RISC-V to glibc with 2.27.
  'linux-ppc64-gnu': { triple: 'powerpc64le-unknown-linux-gnu', arch: 'powerpc64le', glibc: '2.19' },
  'linux-s390x-gnu': { triple: 's390x-unknown-linux-gnu', arch: 's390x' },
  'linux-riscv64-gnu': { triple: 'riscv64gc-unknown-linux-gnu', arch: 'riscv64-double', glibc: '2.27' },
  'linux-x64-musl': { triple: 'x86_64-unknown-linux-musl', arch: 'x86_64' },
  'linux-arm64-musl': { triple: 'aarch64-unknown-linux-musl', arch: 'aarch64' },
  'darwin-x64': { triple: 'x86_64-apple-darwin', arch: 'x86_64' },
  'darwin-arm64': { triple: 'aarch64-apple-darwin', arch: 'arm64' },
  'freebsd-x64': { triple: 'x86_64-unknown-freebsd', arch: 'x86_64' },
};

/** What a system asks for, whatever its processor. */
const SYSTEMS = {
  glibc: {
    format: 'ELF',
    glibc: GLIBC,
    flags: [],
    sendfile: ['sendfile', 'sendfile64'],
    libraries: /^(lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux[\w.-]*\.so\.\d|ld64\.so\.\d)$/,
  },
  musl: {
    format: 'ELF',
    // Node's C library is the one to be used, not a second one within the addon.
    flags: ['-Ctarget-feature=-crt-static'],
    sendfile: ['sendfile', 'sendfile64'],
    libraries: /^libc\.so$/,
  },
  darwin: {
    format: 'Mach-O',
    macos: MACOS,
    // Libraries that std names but does not call are not asked for; the file's own name is no path of this machine.
    flags: ['-Clink-arg=-Wl,-dead_strip_dylibs', '-Clink-arg=-Wl,-install_name,@rpath/rs-sendfile.node'],
    sendfile: ['_sendfile'],
    libraries: /^\/usr\/lib\/libSystem\.B\.dylib$/,
  },
  freebsd: {
    format: 'ELF',
    // FreeBSD 13.
    fbsd: '1.6',
    flags: [],
    sendfile: ['sendfile@FBSD_1.0'],
    libraries: /^lib(c|m|thr|rt|util|execinfo|kvm|memstat|procstat|devstat|gcc_s)\.so\.\d+$/,
  },
};

/** @type {Target[]} */
const targets = prebuilt.map((platform) => ({
  ...SYSTEMS[platform.libc ?? platform.os],
  ...TRIPLES[platform.name],
  ...platform,
}));

module.exports = { MACOS, targets };
