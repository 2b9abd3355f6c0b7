'use strict';

/** Which C library a process runs on, by what is told of it; and what an ELF file says of itself. */

const { elf, executable, INTERPRETERS, supportOf, tree } = require('./trees');
const { readElf } = require('../lib/elf');
const { runInChild, tmpFile, root } = require('./helpers');

const linux = { platform: 'linux', arch: 'x64' };
const both = tree({ 'linux-x64-gnu': {}, 'linux-x64-musl': {} });
/** No interpreter: a process that was started by its loader, or is linked statically. */
const silent = executable(null);
const report = (text) => `{ getReport: () => (${text}) }`;
const libraries = (...files) => report(JSON.stringify({ header: {}, sharedObjects: files }));
const never = `{ getReport() { process.stderr.write('asked'); process.exit(9); } }`;

const platformOf = async (looks, place = both) => {
  const found = await supportOf(place, { looks: { ...linux, ...looks } });
  return found.platform;
};

describe('the loader that the executable asks for', () => {
  test.each([
    ['/lib64/ld-linux-x86-64.so.2', 'gnu'],
    ['/lib/ld-linux-aarch64.so.1', 'gnu'],
    ['/lib/ld-linux-armhf.so.3', 'gnu'],
    ['/lib/ld-linux-riscv64-lp64d.so.1', 'gnu'],
    ['/lib64/ld64.so.2', 'gnu'],
    ['/lib/ld64.so.1', 'gnu'],
    ['/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2', 'gnu'],
    ['/lib/ld-musl-x86_64.so.1', 'musl'],
    ['/lib/ld-musl-aarch64.so.1', 'musl'],
  ])('%s tells %s, and no report is asked for', async (interpreter, abi) => {
    const looks = { execPath: executable(interpreter), report: never };
    expect(await platformOf(looks)).toBe(`linux-x64-${abi}`);
  });

  test.each([
    ['32 bits, little-endian', { wide: false, machine: 40 }],
    ['64 bits, big-endian', { big: true, machine: 22 }],
    ['32 bits, big-endian', { wide: false, big: true, machine: 8 }],
  ])('is read from a file of %s', async (_, options) => {
    const looks = { execPath: executable(INTERPRETERS.musl, options), report: never };
    expect(await platformOf(looks)).toBe('linux-x64-musl');
  });
});

describe('Node’s report, where the executable does not tell', () => {
  test.each([
    ['an executable without an interpreter', silent],
    ['a script', tmpFile('#!/bin/sh\nexec node "$@"\n', 'node')],
    ['an executable that cannot be read', '/no/such/node'],
    ['half a head', tmpFile(elf({ interpreter: INTERPRETERS.musl }).subarray(0, 30), 'node')],
  ])('%s', async (_, execPath) => {
    const looks = { execPath, report: report("{ header: { glibcVersionRuntime: '2.31' } }") };
    expect(await platformOf(looks)).toBe('linux-x64-gnu');
  });

  test.each([
    ['gnu', ['/lib/x86_64-linux-gnu/libm.so.6', '/lib/x86_64-linux-gnu/libc.so.6']],
    ['musl', ['linux-vdso.so.1', '/lib/ld-musl-x86_64.so.1']],
    ['musl', ['/opt/bin/node', '/usr/lib/x86_64-linux-musl/libc.so']],
    ['musl', ['/opt/lib/libc.musl-x86_64.so.1', '/usr/lib/libstdc++.so.6']],
  ])('%s is told by the libraries that are loaded', async (abi, files) => {
    expect(await platformOf({ execPath: silent, report: libraries(...files) })).toBe(`linux-x64-${abi}`);
  });

  test('is asked for without the names of the network’s peers, and that is put back', async () => {
    const seen = `{ excludeNetwork: false, getReport() {
      return { header: {}, sharedObjects: this.excludeNetwork ? ['/lib/ld-musl-x86_64.so.1'] : ['/lib/libc.so.6'] };
    } }`;
    const found = await supportOf(both, {
      looks: { ...linux, execPath: silent, report: seen },
      program: 'more.left = process.report.excludeNetwork;',
    });
    expect(found).toMatchObject({ platform: 'linux-x64-musl', left: false });
  });
});

describe('where nothing tells it', () => {
  test.each([
    ['a runtime without a report', 'undefined'],
    ['an empty report', report('{}')],
    ['a report that is no object', report('"{}"')],
    ['a report that is refused', "{ getReport() { throw new Error('not allowed'); } }"],
  ])('%s: the one that is installed is taken', async (_, text) => {
    const looks = { execPath: silent, report: text };
    for (const name of ['linux-x64-gnu', 'linux-x64-musl']) {
      expect(await platformOf(looks, tree({ [name]: {} }))).toBe(name);
    }
  });

  test('and both are installed: the one that loads is taken', async () => {
    const looks = { ...linux, execPath: silent, report: 'undefined' };
    const broken = { main: 'x.node', files: { 'x.node': 'for another C library' } };
    const place = tree({ 'linux-x64-gnu': broken, 'linux-x64-musl': {} });
    expect(await supportOf(place, { looks })).toMatchObject({ available: true, platform: 'linux-x64-musl' });
  });

  test('and none is installed: the reason says so', async () => {
    const looks = { ...linux, execPath: silent, report: 'undefined' };
    const { platform, reason } = await supportOf(tree(), { looks });
    expect(platform).toBe('linux-x64');
    expect(reason).toMatch(/nothing tells glibc from musl/);
  });

  test('Deno is not asked: it would ask its user', async () => {
    const looks = { execPath: executable(INTERPRETERS.musl), report: never, versions: { deno: '2.0.0' } };
    expect(await platformOf(looks, tree({ 'linux-x64-gnu': {} }))).toBe('linux-x64-gnu');
  });
});

test('elsewhere than on Linux there is no C library to tell', async () => {
  const looks = { platform: 'freebsd', arch: 'x64', execPath: executable(INTERPRETERS.glibc), report: never };
  expect(await supportOf(tree({ 'freebsd-x64': {} }), { looks })).toMatchObject({ platform: 'freebsd-x64' });
});

test('a fresh clone may ask before anything is installed', async () => {
  const { stdout } = await runInChild(
    `const target = require(${JSON.stringify(`${root}/lib/target.js`)});
     console.log(target.names.length, Object.keys(require.cache).every((file) => !file.slice(${root.length}).includes('node_modules')));`,
  );
  expect(stdout).toBe('1 true\n');
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('an ELF file tells its machine, its loader, its length and its libraries (Linux)', () => {
  const node = readElf(process.execPath);
  expect(node).toMatchObject({ arch: process.arch, interpreter: expect.stringMatching(/^\/.*\/ld/) });
  expect(node.found).toBeGreaterThanOrEqual(node.length);
  expect(node.needed()).toEqual(expect.arrayContaining([expect.stringMatching(/^libc\./)]));
});
