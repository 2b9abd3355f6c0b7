'use strict';

/** What a Mach-O file says of itself: processor, libraries, symbols, the oldest macOS, and whether its signature holds. */

const { createHash } = require('node:crypto');

const MAGIC = 0xfeedfacf;
const LC_SYMTAB = 0x2;
const LC_LOAD_DYLIB = 0xc;
const LC_ID_DYLIB = 0xd;
const LC_CODE_SIGNATURE = 0x1d;
const LC_VERSION_MIN_MACOSX = 0x24;
const LC_BUILD_VERSION = 0x32;
const LC_LOAD_WEAK_DYLIB = 0x80000018;
const N_STAB = 0xe0;
const N_TYPE = 0x0e;
const N_EXT = 0x01;
const CPUS = { 16777223: 'x86_64', 16777228: 'arm64' };
const TYPES = { 1: 'object', 2: 'program', 6: 'library', 8: 'bundle' };
const CODE_DIRECTORY = 0xfade0c02;
const HASHES = { 1: 'sha1', 2: 'sha256' };

/** Of 64 bits and one processor, as the addon is. @param {Buffer} bytes */
function isMachO(bytes) {
  return bytes.length >= 32 && bytes.readUInt32LE(0) === MAGIC;
}

/**
 * @param {Buffer} bytes
 * @returns {import('./binary').Binary}
 */
function readMachO(bytes) {
  const u32 = (at) => bytes.readUInt32LE(at);
  const text = (at) => bytes.toString('latin1', at, bytes.indexOf(0, at));
  const cpu = u32(4);
  const binary = {
    format: 'Mach-O',
    type: TYPES[u32(12)] ?? `type ${u32(12)}`,
    arch: CPUS[cpu] ?? `cpu ${cpu}`,
    libraries: [],
    imports: [],
    exports: [],
    versions: [],
    signature: 'none',
  };
  for (let at = 32, left = u32(16); left > 0; left--) {
    const command = u32(at);
    if (command === LC_LOAD_DYLIB || command === LC_LOAD_WEAK_DYLIB)
      binary.libraries.push(text(at + u32(at + 8)));
    else if (command === LC_ID_DYLIB) binary.id = text(at + u32(at + 8));
    else if (command === LC_VERSION_MIN_MACOSX) binary.macos = version(u32(at + 8));
    else if (command === LC_BUILD_VERSION) binary.macos = version(u32(at + 12));
    else if (command === LC_CODE_SIGNATURE) binary.signature = signature(bytes, u32(at + 8));
    else if (command === LC_SYMTAB) {
      const [symbols, count, strings] = [u32(at + 8), u32(at + 12), u32(at + 16)];
      for (let index = 0; index < count; index++) {
        const symbol = symbols + index * 16;
        const kind = bytes[symbol + 4];
        if (kind & N_STAB || !(kind & N_EXT)) continue;
        binary[kind & N_TYPE ? 'exports' : 'imports'].push(text(strings + u32(symbol)));
      }
    }
    at += u32(at + 4);
  }
  return binary;
}

const version = (packed) => `${packed >>> 16}.${(packed >>> 8) & 0xff}`;

/**
 * Whether the file is the one that was signed, if by nobody: macOS on arm64 ends a process that loads another.
 * @returns {'valid' | 'broken'}
 */
function signature(bytes, start) {
  const u32 = (at) => bytes.readUInt32BE(at);
  for (let index = 0; index < u32(start + 8); index++) {
    const at = start + u32(start + 12 + index * 8 + 4);
    if (u32(at) !== CODE_DIRECTORY) continue;
    const [hashes, slots, limit] = [at + u32(at + 16), u32(at + 28), u32(at + 32)];
    const [size, kind, page] = [bytes[at + 36], HASHES[bytes[at + 37]], 1 << bytes[at + 39]];
    if (!kind || limit !== start || slots !== Math.ceil(limit / page)) return 'broken';
    for (let slot = 0; slot < slots; slot++) {
      const code = bytes.subarray(slot * page, Math.min((slot + 1) * page, limit));
      const hash = createHash(kind).update(code).digest().subarray(0, size);
      if (!hash.equals(bytes.subarray(hashes + slot * size, hashes + (slot + 1) * size))) return 'broken';
    }
    return 'valid';
  }
  return 'broken';
}

module.exports = { isMachO, readMachO };
