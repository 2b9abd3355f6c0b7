'use strict';

/** What an ELF file says of itself: processor, libraries, symbols with their versions. Of any width and byte order. */

const MAGIC = 0x7f454c46;
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_VERDEF = 0x6ffffffd;
const SHT_VERNEED = 0x6ffffffe;
const SHT_VERSYM = 0x6fffffff;
const DT_NEEDED = 1;
const MACHINES = {
  3: 'i386',
  20: 'powerpc',
  21: 'powerpc64',
  22: 's390',
  40: 'arm',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv',
};
const TYPES = { 1: 'object', 2: 'program', 3: 'library', 4: 'core' };

/** @param {Buffer} bytes */
function isElf(bytes) {
  return bytes.length >= 64 && bytes.readUInt32BE(0) === MAGIC;
}

/**
 * @param {Buffer} bytes
 * @returns {import('./binary').Binary}
 */
function readElf(bytes) {
  const wide = bytes[4] === 2;
  const little = bytes[5] === 1;
  const u16 = (at) => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const u32 = (at) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const u64 = (at) => Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  const word = wide ? u64 : u32;
  const text = (at) => bytes.toString('latin1', at, bytes.indexOf(0, at));

  const table = word(wide ? 40 : 32);
  const flags = u32(wide ? 48 : 36);
  const entry = u16(wide ? 58 : 46);
  const sections = Array.from({ length: u16(wide ? 60 : 48) }, (_, index) => {
    const at = table + index * entry;
    return {
      type: u32(at + 4),
      offset: word(at + (wide ? 24 : 16)),
      size: word(at + (wide ? 32 : 20)),
      link: u32(at + (wide ? 40 : 24)),
    };
  });
  const find = (type) => sections.find((section) => section.type === type);
  const count = (section, size) => Math.floor((section?.size ?? 0) / size);

  const dynamic = find(SHT_DYNAMIC);
  const libraries = [];
  for (let index = 0; index < count(dynamic, wide ? 16 : 8); index++) {
    const at = dynamic.offset + index * (wide ? 16 : 8);
    if (word(at) === DT_NEEDED)
      libraries.push(text(sections[dynamic.link].offset + word(at + (wide ? 8 : 4))));
  }

  const versions = neededVersions(find(SHT_VERNEED), sections, { u16, u32, text });
  const dynsym = find(SHT_DYNSYM);
  const versym = find(SHT_VERSYM);
  const imports = [];
  const exports = [];
  for (let index = 1; index < count(dynsym, wide ? 24 : 16); index++) {
    const at = dynsym.offset + index * (wide ? 24 : 16);
    const name = text(sections[dynsym.link].offset + u32(at));
    if (u16(at + (wide ? 6 : 14)) !== 0) exports.push(name);
    else {
      const version = versym && versions.get(u16(versym.offset + index * 2) & 0x7fff);
      imports.push(version ? `${name}@${version}` : name);
    }
  }
  return {
    format: 'ELF',
    type: TYPES[u16(16)] ?? `type ${u16(16)}`,
    arch: arch(u16(18), { wide, little, flags }),
    libraries,
    imports,
    exports,
    versions: [...versions.values()],
    defines: find(SHT_VERDEF) !== undefined,
  };
}

/** The versions that are asked of each library, by the numbers that symbols refer to them with. */
function neededVersions(section, sections, { u16, u32, text }) {
  const versions = new Map();
  if (!section) return versions;
  const strings = sections[section.link].offset;
  for (let at = section.offset, more = true; more; ) {
    for (let aux = at + u32(at + 8), left = u16(at + 2); left > 0; left--) {
      versions.set(u16(aux + 6), text(strings + u32(aux + 8)));
      aux += u32(aux + 12);
    }
    more = u32(at + 12) !== 0;
    at += u32(at + 12);
  }
  return versions;
}

/** The processor by a name that tells apart what cannot be loaded into one process. */
function arch(machine, { wide, little, flags }) {
  const name = MACHINES[machine] ?? `machine ${machine}`;
  if (name === 'powerpc64') return little ? 'powerpc64le' : 'powerpc64';
  if (name === 's390') return wide ? 's390x' : 's390';
  if (name === 'arm') return flags & 0x400 ? 'arm-hardfloat' : 'arm-softfloat';
  if (name === 'riscv')
    return `riscv${wide ? 64 : 32}-${['soft', 'single', 'double', 'quad'][(flags >> 1) & 3]}`;
  return name;
}

module.exports = { isElf, readElf };
