'use strict';

/**
 * The platforms that a package with a binary is made for: rs-sendfile-NAME, where NAME is the platform as the binaries'
 * names have it. `os`, `cpu` and `libc` are what npm looks at before it installs one.
 *
 * @type {readonly Readonly<{ name: string, os: string, cpu: string, libc?: 'glibc' | 'musl' }>[]}
 */
const prebuilt = [
  { name: 'linux-x64-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' },
  { name: 'linux-arm64-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { name: 'linux-arm-gnueabihf', os: 'linux', cpu: 'arm', libc: 'glibc' },
  { name: 'linux-ppc64-gnu', os: 'linux', cpu: 'ppc64', libc: 'glibc' },
  { name: 'linux-s390x-gnu', os: 'linux', cpu: 's390x', libc: 'glibc' },
  { name: 'linux-riscv64-gnu', os: 'linux', cpu: 'riscv64', libc: 'glibc' },
  { name: 'linux-x64-musl', os: 'linux', cpu: 'x64', libc: 'musl' },
  { name: 'linux-arm64-musl', os: 'linux', cpu: 'arm64', libc: 'musl' },
  { name: 'darwin-x64', os: 'darwin', cpu: 'x64' },
  { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64' },
  { name: 'freebsd-x64', os: 'freebsd', cpu: 'x64' },
];

module.exports = { prebuilt };
