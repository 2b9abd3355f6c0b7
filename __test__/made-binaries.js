'use strict';

/** Binaries of any processor and system, just large enough to say what they are. */

const { createHash } = require('node:crypto');

/** Strings one after the other, and where each stands. */
function strings() {
  const parts = [Buffer.alloc(1)];
  let size = 1;
  const at = (text) => {
    const start = size;
    parts.push(Buffer.from(`${text}\0`));
    size += text.length + 1;
    return start;
  };
  return { at, bytes: () => Buffer.concat(parts) };
}

/**
 * @param {object} what
 * @param {boolean} [what.wide]     64 bits
 * @param {boolean} [what.little]
 * @param {number} [what.machine]
 * @param {number} [what.flags]
 * @param {number} [what.type]
 * @param {string[]} [what.libraries]
 * @param {string[]} [what.imports] `name` or `name@VERSION`
 * @param {string[]} [what.exports]
 * @param {string} [what.text]      what else it holds
 */
function makeElf({
  wide = true,
  little = true,
  machine = 62,
  flags = 0,
  type = 3,
  libraries = ['libc.so.6'],
  imports = ['sendfile64@GLIBC_2.3', 'memcpy@GLIBC_2.14'],
  exports = ['napi_register_module_v1'],
  text = '',
} = {}) {
  const u16 = (...values) => fields(values, 2, little);
  const u32 = (...values) => fields(values, 4, little);
  const word = (...values) => fields(values, wide ? 8 : 4, little);
  const names = strings();

  const versions = [...new Set(imports.map((name) => name.split('@')[1]).filter(Boolean))];
  const symbol = (name, section) =>
    wide
      ? Buffer.concat([u32(names.at(name)), Buffer.from([0x12, 0]), u16(section), word(0, 0)])
      : Buffer.concat([u32(names.at(name)), word(0, 0), Buffer.from([0x12, 0]), u16(section)]);
  const dynsym = Buffer.concat([
    Buffer.alloc(wide ? 24 : 16),
    ...imports.map((name) => symbol(name.split('@')[0], 0)),
    ...exports.map((name) => symbol(name, 1)),
  ]);
  const number = (name) => versions.indexOf(name.split('@')[1]) + 2;
  const versym = u16(
    0,
    ...imports.map((name) => (name.includes('@') ? number(name) : 1)),
    ...exports.map(() => 1),
  );
  const verneed = Buffer.concat([
    u16(1, versions.length),
    u32(names.at(libraries[0] ?? ''), 16, 0),
    ...versions.map((name, index) =>
      Buffer.concat([u32(0), u16(0, index + 2), u32(names.at(name), index === versions.length - 1 ? 0 : 16)]),
    ),
  ]);
  const dynamic = word(...libraries.flatMap((name) => [1, names.at(name)]), 0, 0);

  const bodies = [
    [0, Buffer.alloc(0), 0],
    [11, dynsym, 5],
    [0x6fffffff, versym, 1],
    ...(versions.length > 0 ? [[0x6ffffffe, verneed, 5]] : [[1, Buffer.alloc(0), 0]]),
    [6, dynamic, 5],
    [3, names.bytes(), 0],
    [1, Buffer.from(text), 0],
  ];
  const header = wide ? 64 : 52;
  let offset = header;
  const table = bodies.map(([kind, body, link]) => {
    const start = offset;
    offset += body.length;
    return Buffer.concat([u32(0, kind), word(0, 0, start, body.length), u32(link, 0), word(0, 0)]);
  });
  return Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, little ? 1 : 2, 1, ...Buffer.alloc(9)]),
    u16(type, machine),
    u32(1),
    word(0, 0, offset),
    u32(flags),
    u16(header, 0, 0, wide ? 64 : 40, table.length, 5),
    ...bodies.map(([, body]) => body),
    ...table,
  ]);
}

/**
 * @param {object} what
 * @param {number} [what.cpu]
 * @param {number} [what.type]
 * @param {string} [what.macos]
 * @param {string[]} [what.libraries]
 * @param {string[]} [what.imports]
 * @param {string[]} [what.exports]
 * @param {boolean} [what.signed]
 */
function makeMachO({
  cpu = 0x0100000c,
  type = 6,
  macos = '11.0',
  libraries = ['/usr/lib/libSystem.B.dylib'],
  imports = ['_sendfile'],
  exports = ['_napi_register_module_v1'],
  signed = true,
} = {}) {
  const u32 = (...values) => fields(values, 4, true);
  const [major, minor] = macos.split('.').map(Number);
  const names = strings();
  const symbol = (name, kind) =>
    Buffer.concat([u32(names.at(name)), Buffer.from([kind, 0, 0, 0]), u32(0, 0)]);
  const symbols = Buffer.concat([
    ...imports.map((name) => symbol(name, 0x01)),
    ...exports.map((name) => symbol(name, 0x0f)),
    // Not to be seen from outside, and a debugger's.
    symbol('_own', 0x0e),
    symbol('_source', 0x64),
  ]);
  const load = (command, name) => {
    const text = Buffer.alloc(Math.ceil((name.length + 1) / 8) * 8, 0);
    text.write(name);
    return Buffer.concat([u32(command, 24 + text.length, 24, 0, 0, 0), text]);
  };
  const fixed = [load(0xd, '@rpath/a.node'), ...libraries.map((name) => load(0xc, name))];
  const build = u32(0x32, 24, 1, (major << 16) | (minor << 8), 0, 0);
  const size = Buffer.concat(fixed).length + build.length + 24 + (signed ? 16 : 0);
  const at = 32 + size;
  const end = at + symbols.length + names.bytes().length;
  const commands = [
    ...fixed,
    build,
    u32(0x2, 24, at, symbols.length / 16, at + symbols.length, names.bytes().length),
    ...(signed ? [u32(0x1d, 16, end, 0)] : []),
  ];
  const header = u32(0xfeedfacf, cpu, 0, type, commands.length, size, 0, 0);
  const bytes = Buffer.concat([header, ...commands, symbols, names.bytes()]);
  return signed ? Buffer.concat([bytes, signature(bytes)]) : bytes;
}

/** That of nobody: the hashes of the pages before it, here of 64 bytes. */
function signature(bytes) {
  const page = 64;
  const hashes = [];
  for (let at = 0; at < bytes.length; at += page)
    hashes.push(
      createHash('sha256')
        .update(bytes.subarray(at, at + page))
        .digest(),
    );
  const u32 = (...values) => fields(values, 4, false);
  const directory = Buffer.concat([
    u32(0xfade0c02, 44 + hashes.length * 32, 0x20400, 2, 44, 0, 0, hashes.length, bytes.length),
    Buffer.from([32, 2, 0, Math.log2(page)]),
    u32(0),
    ...hashes,
  ]);
  return Buffer.concat([u32(0xfade0cc0, 20 + directory.length, 1, 0, 20), directory]);
}

/** Numbers of so many bytes. */
function fields(values, size, little) {
  const bytes = Buffer.alloc(values.length * size);
  values.forEach((value, index) => {
    const order = little ? 'LE' : 'BE';
    if (size === 8) bytes[`writeBigUInt64${order}`](BigInt(value), index * 8);
    else bytes[`writeUInt${size * 8}${order}`](value >>> 0, index * size);
  });
  return bytes;
}

module.exports = { makeElf, makeMachO };
