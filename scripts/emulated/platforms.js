'use strict';

/**
 * The platforms whose packages run on a Linux of x64: a Node of theirs, qemu where the processor is another, and their
 * C library. Everything is fetched once and stays in node_modules/.cache/emulated.
 */

const path = require('node:path');
const { getBinary, runs } = require('../binaries');
const { debianRoot } = require('./debian');
const { muslNode } = require('./musl-node');

const cache = path.join(__dirname, '..', '..', 'node_modules', '.cache', 'emulated');
const PROCESSORS = ['aarch64', 'arm', 'ppc64le', 's390x', 'riscv64'];

/**
 * @typedef {object} Platform
 * @property {string} target as lib/prebuilt.js names it
 * @property {string} node its version, or how that begins
 * @property {(node: string) => string[]} start what starts that Node: a program and its first arguments. Throws if it
 *   cannot be had, and why
 */

/** @type {Platform[]} */
const PLATFORMS = [
  {
    target: 'linux-arm64-gnu',
    node: '24.21.0',
    start: official('arm64', 'aarch64', 'arm64', 'aarch64-linux-gnu'),
  },
  // These three are the newest that npm has.
  {
    target: 'linux-arm-gnueabihf',
    node: '20.11.0',
    start: official('armv7l', 'arm', 'armhf', 'arm-linux-gnueabihf'),
  },
  {
    target: 'linux-ppc64-gnu',
    node: '20.11.0',
    start: official('ppc64le', 'ppc64le', 'ppc64el', 'powerpc64le-linux-gnu'),
  },
  {
    target: 'linux-s390x-gnu',
    node: '20.11.0',
    start: official('s390x', 's390x', 's390x', 's390x-linux-gnu'),
  },
  { target: 'linux-riscv64-gnu', node: '20.19', start: ofDebian },
  { target: 'linux-x64-musl', node: '24.19.0', start: withMusl },
  { target: 'linux-arm64-musl', node: '24.19.0', start: emulatedWithMusl },
];

/**
 * One of nodejs.org's builds, which npm carries, with the C library of Debian's cross compilers.
 * @param {string} ofNode the processor as Node's builds name it
 * @param {string} ofQemu
 * @param {string} ofDebian
 * @param {string} triple GNU's
 */
function official(ofNode, ofQemu, ofDebian, triple) {
  return (node) => {
    const packages = ['libc6', 'libstdc++6', 'libatomic1'].map((name) => `${name}-${ofDebian}-cross`);
    const root = debianRoot({ cache, architecture: 'amd64', packages });
    const through = qemu(ofQemu, path.join(root, 'usr', triple));
    const name = `node-linux-${ofNode}`;
    const folder = path.join('emulated', name);
    const binary = getBinary({ folder, name, version: node, bin: 'bin/node', through });
    if (binary === null) throw new Error(`${name} ${node} cannot be had from npm; the output above says why`);
    return [...through, binary];
  };
}

/** Debian's own Node: nobody else has one for RISC-V. */
function ofDebian(node) {
  const root = debianRoot({ cache, architecture: 'riscv64', packages: ['nodejs'] });
  return whole(node, [...qemu('riscv64', root), path.join(root, 'usr', 'bin', 'node')]);
}

/** The processor is this machine's: musl's loader starts it. */
function withMusl(node) {
  const loader = path.join(musl('amd64'), 'usr', 'lib', 'ld-musl-x86_64.so.1');
  return whole(node, [loader, muslNode({ cache, version: node, machine: 'x86_64' })]);
}

function emulatedWithMusl(node) {
  return whole(node, [
    ...qemu('aarch64', musl('arm64')),
    muslNode({ cache, version: node, machine: 'aarch64' }),
  ]);
}

/** What starts programs of another processor, with the libraries of this root. */
function qemu(processor, root) {
  const keep = PROCESSORS.map((name) => `usr/bin/qemu-${name}`);
  const place = debianRoot({ cache, architecture: 'amd64', packages: ['qemu-user'], alone: true, keep });
  return [path.join(place, 'usr', 'bin', `qemu-${processor}`), '-L', root];
}

function musl(architecture) {
  return debianRoot({ cache, architecture, packages: ['musl'], alone: true });
}

/** The command, if what it starts is this version. */
function whole(version, command) {
  if (!runs(command, version)) throw new Error(`Node ${version} does not start; the output above says why`);
  return command;
}

module.exports = { PLATFORMS };
