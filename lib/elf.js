'use strict';

/**
 * What an ELF file says of itself. It is asked of the running executable, whose interpreter names the C library in a
 * hundredth of the time of Node's report; and of a binary before it is loaded: the system's loader does not look at the
 * length of a file, and the process is killed (SIGBUS) where one has been cut off.
 */

const fs = require('node:fs');

/**
 * What `process.arch` calls these machines.
 * @type {Record<number, string>}
 */
const MACHINES = {
  3: 'ia32',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};
const LOAD = 1;
const DYNAMIC = 2;
const INTERPRETER = 3;
const END = 0;
const NEEDED = 1;
const STRINGS = 5;

/**
 * @typedef {{ type: number, offset: number, address: number, size: number }} Segment
 * @typedef {object} Elf
 * @property {string | null} arch as `process.arch` has it; null for a machine that is not known by one name
 * @property {string | null} interpreter the loader that an executable asks for
 * @property {number} length bytes that the file needs to have
 * @property {number} found bytes that it has
 * @property {() => string[]} needed libraries that it asks for
 */

/**
 * @param {string} file
 * @returns {Elf | null} null for what cannot be read, or is no ELF file
 */
function readElf(file) {
  let fd;
  try {
    fd = fs.openSync(file, 'r');
    return parse(fd, file);
  } catch {
    return null;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/**
 * @param {number} fd
 * @param {string} file
 * @returns {Elf | null}
 */
function parse(fd, file) {
  // Linkers put the table of segments right behind the head.
  const head = readAt(fd, 0, 1024);
  if (head.toString('latin1', 0, 4) !== '\x7fELF') return null;
  const found = fs.fstatSync(fd).size;
  const number = numbers(head[4] === 2, head[5] === 2);
  const wide = head[4] === 2;
  const table = number.word(head, wide ? 32 : 28);
  const each = number.half(head, wide ? 54 : 42);
  const count = number.half(head, wide ? 56 : 44);
  const end = table + each * count;
  const bytes = end <= head.length ? head.subarray(table, end) : readAt(fd, table, each * count);
  /** @type {Segment[]} */
  const segments = [];
  for (let at = 0; at + each <= bytes.length; at += each) segments.push(number.segment(bytes.subarray(at)));
  const loaded = segments.filter(({ type }) => type === LOAD);
  const asked = segments.find(({ type }) => type === INTERPRETER);
  return {
    arch: MACHINES[number.half(head, 18)] ?? null,
    interpreter: asked ? text(readAt(fd, asked.offset, asked.size), 0) : null,
    length: Math.max(end, ...loaded.map(({ offset, size }) => offset + size)),
    found,
    needed: () => readNeeded(file, segments, number),
  };
}

/**
 * @param {boolean} wide 64 bits
 * @param {boolean} big big-endian
 */
function numbers(wide, big) {
  /** @type {(bytes: Buffer, at: number) => number} */
  const half = (bytes, at) => (big ? bytes.readUInt16BE(at) : bytes.readUInt16LE(at));
  /** @type {(bytes: Buffer, at: number) => number} */
  const int = (bytes, at) => (big ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  /** @type {(bytes: Buffer, at: number) => number} */
  const long = (bytes, at) => Number(big ? bytes.readBigUInt64BE(at) : bytes.readBigUInt64LE(at));
  const word = wide ? long : int;
  /** @type {(bytes: Buffer) => Segment} */
  const segment = (bytes) => ({
    type: int(bytes, 0),
    offset: word(bytes, wide ? 8 : 4),
    address: word(bytes, wide ? 16 : 8),
    size: word(bytes, wide ? 32 : 16),
  });
  return { half, word, segment, wordSize: wide ? 8 : 4 };
}

/**
 * @param {string} file
 * @param {Segment[]} segments
 * @param {ReturnType<typeof numbers>} number
 * @returns {string[]}
 */
function readNeeded(file, segments, number) {
  const bytes = fs.readFileSync(file);
  const dynamic = segments.find(({ type }) => type === DYNAMIC);
  if (!dynamic) return [];
  const names = [];
  let strings = 0;
  const { word, wordSize } = number;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 2 * wordSize) {
    const tag = word(bytes, at);
    const value = word(bytes, at + wordSize);
    if (tag === END) break;
    if (tag === NEEDED) names.push(value);
    if (tag === STRINGS) strings = value;
  }
  const holder = segments.find(
    ({ type, address, size }) => type === LOAD && strings >= address && strings < address + size,
  );
  const start = holder ? strings - holder.address + holder.offset : strings;
  return names.map((name) => text(bytes, start + name));
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 */
function text(bytes, at) {
  const end = bytes.indexOf(0, at);
  return bytes.toString('latin1', at, end < 0 ? bytes.length : end);
}

/**
 * @param {number} fd
 * @param {number} position
 * @param {number} length
 */
function readAt(fd, position, length) {
  const bytes = Buffer.alloc(Math.min(length, 1 << 16));
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, position));
}

module.exports = { readElf };
