'use strict';

/** Binaries that are made for other systems: what is read off them, and what is not let through. */

const fs = require('node:fs');
const path = require('node:path');
const { prebuilt } = require('../lib/prebuilt');
const { readBinary } = require('../scripts/prebuild/binary');
const { checkBinary, compareVersions, machinePaths } = require('../scripts/prebuild/checks');
const { targets } = require('../scripts/prebuild/targets');
const { support } = require('..');
const { makeElf, makeMachO } = require('./made-binaries');
const { root } = require('./helpers');

const target = (name) => targets.find((one) => one.name === name);

describe('an ELF file', () => {
  const shapes = [
    ['x86_64', { machine: 62 }],
    ['aarch64', { machine: 183 }],
    ['arm-hardfloat', { machine: 40, wide: false, flags: 0x05000400 }],
    ['arm-softfloat', { machine: 40, wide: false, flags: 0x05000200 }],
    ['powerpc64le', { machine: 21, flags: 2 }],
    ['powerpc64', { machine: 21, flags: 1, little: false }],
    ['s390x', { machine: 22, little: false }],
    ['riscv64-double', { machine: 243, flags: 5 }],
    ['riscv64-soft', { machine: 243, flags: 1 }],
    ['machine 8', { machine: 8, wide: false, little: false }],
  ];

  test.each(shapes)('of %s is read in its own width and byte order', (arch, shape) => {
    const binary = readBinary(
      makeElf({
        ...shape,
        libraries: ['libc.so.6', 'libdl.so.2'],
        imports: ['sendfile@GLIBC_2.3', 'free', 'memcpy@GLIBC_2.14'],
        exports: ['napi_register_module_v1'],
      }),
    );
    expect(binary).toMatchObject({
      format: 'ELF',
      type: 'library',
      arch,
      libraries: ['libc.so.6', 'libdl.so.2'],
      imports: ['sendfile@GLIBC_2.3', 'free', 'memcpy@GLIBC_2.14'],
      exports: ['napi_register_module_v1'],
      versions: ['GLIBC_2.3', 'GLIBC_2.14'],
    });
  });

  test('that is a program is told from a library', () => {
    expect(readBinary(makeElf({ type: 2 })).type).toBe('program');
  });

  test('that is cut off is not taken for a whole one', () => {
    const whole = makeElf();
    expect(readBinary(whole.subarray(0, whole.length - 40)).format).toBe('cut off');
  });

  const addon = path.join(root, `rs-sendfile.${support.platform}.node`);
  const host = targets.find(({ name, format }) => name === support.platform && format === 'ELF');
  const why =
    host && fs.existsSync(addon)
      ? ''
      : ` - skipped on ${support.platform}: no ELF addon of this build is there`;
  (why ? test.skip : test)(`is what this machine's own linker makes, too${why}`, () => {
    const binary = readBinary(fs.readFileSync(addon));
    expect(binary).toMatchObject({ format: 'ELF', type: 'library', arch: host.arch });
    expect(binary.exports).toContain('napi_register_module_v1');
    expect(binary.libraries.some((name) => /^libc\./.test(name))).toBe(true);
    expect(
      checkBinary(fs.readFileSync(addon), host).find(({ what }) => /sendfile/.test(what)).wrong,
    ).toBeNull();
    expect(readBinary(fs.readFileSync(process.execPath)).arch).toBe(host.arch);
  });
});

describe('a Mach-O file', () => {
  test('is read: processor, oldest macOS, libraries, symbols, and that its signature holds', () => {
    expect(readBinary(makeMachO())).toMatchObject({
      format: 'Mach-O',
      type: 'library',
      arch: 'arm64',
      id: '@rpath/a.node',
      macos: '11.0',
      libraries: ['/usr/lib/libSystem.B.dylib'],
      imports: ['_sendfile'],
      exports: ['_napi_register_module_v1'],
      signature: 'valid',
    });
    expect(readBinary(makeMachO({ cpu: 0x01000007, macos: '10.12' }))).toMatchObject({
      arch: 'x86_64',
      macos: '10.12',
    });
  });

  test('that was changed after it was signed is known by that', () => {
    const bytes = makeMachO();
    bytes[bytes.indexOf('_sendfile')] ^= 1;
    expect(readBinary(bytes).signature).toBe('broken');
    expect(readBinary(makeMachO({ signed: false })).signature).toBe('none');
  });
});

describe('what is not let through', () => {
  const wrong = (bytes, name) =>
    checkBinary(bytes, target(name)).flatMap((check) =>
      check.wrong === null ? [] : `${check.what}: ${check.wrong}`,
    );
  const linux = (changes) => wrong(makeElf(changes), 'linux-x64-gnu');
  const freebsd = { libraries: ['libc.so.7'], imports: ['sendfile@FBSD_1.0'] };
  const musl = { libraries: ['libc.so'], imports: ['sendfile'] };

  test('nothing of a good one', () => {
    expect(linux()).toEqual([]);
    expect(wrong(makeElf(musl), 'linux-x64-musl')).toEqual([]);
    expect(wrong(makeElf(freebsd), 'freebsd-x64')).toEqual([]);
    expect(wrong(makeMachO(), 'darwin-arm64')).toEqual([]);
  });

  test.each([
    ['another format', { elf: 'darwin-arm64' }, /^the format: ELF library, not Mach-O library$/],
    ['a program', { type: 2 }, /^the format: ELF program, not ELF library$/],
    ['another processor', { machine: 183 }, /^the processor: aarch64, not x86_64$/],
    ['more than a megabyte', { text: 'a'.repeat(1 << 20) }, /^the size: \d+ bytes, more than 1048576$/],
    [
      'no entry for Node',
      { exports: ['other'] },
      /^the entry for Node: napi_register_module_v1 is not exported$/,
    ],
    [
      'no sendfile',
      { imports: ['write@GLIBC_2.3'] },
      /^the system's sendfile: sendfile or sendfile64 is not imported$/,
    ],
    [
      'another library',
      { libraries: ['libc.so.6', 'libssl.so.3'] },
      /^no other libraries: needs libssl\.so\.3$/,
    ],
    [
      'a newer glibc',
      { imports: ['sendfile64@GLIBC_2.3', 'f@GLIBC_2.18'] },
      /^glibc 2\.17: asks for GLIBC_2\.18$/,
    ],
    [
      'one build of glibc',
      { imports: ['sendfile64@GLIBC_2.3', 'f@GLIBC_PRIVATE'] },
      /^glibc 2\.17: asks for GLIBC_PRIVATE$/,
    ],
    [
      'a path of the project',
      { text: `\0${root}/src/lib.rs\0` },
      /^no paths of this machine: holds .*\/src\/lib\.rs$/,
    ],
  ])('%s', (_, { elf, ...changes }, message) => {
    const found = elf ? wrong(makeElf(), elf) : linux(changes);
    expect(found[0]).toMatch(message);
    if (!elf) expect(found).toHaveLength(1);
  });

  test('for musl, what was linked against glibc', () => {
    expect(wrong(makeElf(), 'linux-x64-musl')).toEqual(['no other libraries: needs libc.so.6']);
    expect(linux(musl)).toEqual(['no other libraries: needs libc.so', 'glibc 2.17: asks for no GLIBC_*']);
  });

  test('for FreeBSD, a sendfile of no version, and symbols that FreeBSD 13 has not', () => {
    const found = (...imports) => wrong(makeElf({ ...freebsd, imports }), 'freebsd-x64');
    expect(found('sendfile', 'read@FBSD_1.0')).toEqual([
      "the system's sendfile: sendfile@FBSD_1.0 is not imported",
    ]);
    expect(found('sendfile@FBSD_1.0', 'f@FBSD_1.7')).toEqual(['symbols of FreeBSD 1.6: asks for FBSD_1.7']);
  });

  test('for macOS, a newer system, no signature, one that does not hold, other libraries', () => {
    const darwin = (changes) => wrong(makeMachO(changes), 'darwin-arm64');
    expect(darwin({ macos: '15.0' })).toEqual(['macOS 11.0: 15.0, not 11.0']);
    expect(darwin({ signed: false })).toEqual(['the signature: none, not valid']);
    expect(wrong(makeMachO({ cpu: 0x01000007, signed: false }), 'darwin-x64')).toEqual([]);
    expect(darwin({ libraries: ['/opt/x.dylib'] })).toEqual(['no other libraries: needs /opt/x.dylib']);
    expect(darwin({ imports: ['_write'] })).toEqual(["the system's sendfile: _sendfile is not imported"]);
    const changed = makeMachO({ cpu: 0x01000007 });
    changed[changed.indexOf('_own')] ^= 1;
    expect(wrong(changed, 'darwin-x64')).toEqual(['the signature: broken, not valid']);
    expect(wrong(makeMachO({ cpu: 0x01000007 }), 'darwin-arm64')).toEqual([
      'the processor: x86_64, not arm64',
    ]);
  });

  test('what is no binary at all', () => {
    expect(wrong(Buffer.from('text'), 'linux-x64-gnu')[0]).toBe(
      'the format: neither ELF nor Mach-O unknown, not ELF library',
    );
  });

  test('versions are compared by their numbers', () => {
    const sorted = ['2.9', '2.17', '2.2.5', 'PRIVATE', '2.3', '2.3.4'].sort(compareVersions);
    expect(sorted).toEqual(['2.2.5', '2.3', '2.3.4', '2.9', '2.17', 'PRIVATE']);
  });

  test('a folder of this machine is found as a path, not as the beginning of a word', () => {
    const found = (text) => machinePaths(Buffer.from(text), ['/home/me', '/']);
    const paths = ['/home/me/.cargo/x.rs', '/home/me'];
    expect(found('\0/home/me/.cargo/x.rs\0 /home/meadow \0in /home/me //x')).toEqual(paths);
  });
});

describe('the table of platforms', () => {
  test('names each as the loader names the platform that it runs on', () => {
    for (const { name, os, cpu, libc } of prebuilt) {
      const abi = { glibc: 'gnu', musl: 'musl' }[libc] ?? '';
      expect(name).toBe([os, cpu, cpu === 'arm' ? `${abi}eabihf` : abi].filter(Boolean).join('-'));
    }
    expect(new Set(prebuilt.map(({ name }) => name)).size).toBe(prebuilt.length);
  });

  test('has a target of Rust for each, and check:targets checks it', () => {
    const checked = fs.readFileSync(path.join(root, 'scripts', 'check-targets.js'), 'utf8');
    for (const { triple, sendfile } of targets) {
      expect(checked).toContain(`'${triple}'`);
      expect(sendfile).not.toEqual([]);
    }
  });
});
