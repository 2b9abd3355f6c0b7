'use strict';

/** Which binary is taken, and what is said where there is none: in trees of node_modules, by processes that look like others. */

const fs = require('node:fs');
const path = require('node:path');
const { prebuilt } = require('../lib/prebuilt');
const { readElf } = require('../lib/elf');
const { EXPORTS } = require('../lib/exports');
const { runInChild, tmpFile } = require('./helpers');
const { binary, executable, INTERPRETERS, like, standIn, supportOf, tree, version } = require('./trees');

const here = require('..').support.platform;
const own = { main: 'own.node', files: { 'own.node': fs.readFileSync(binary) } };
const all = Object.fromEntries(prebuilt.map(({ name }) => [name, {}]));
const gnu = { platform: 'linux', arch: 'x64', execPath: executable(INTERPRETERS.glibc) };
const musl = { ...gnu, execPath: executable(INTERPRETERS.musl) };

test('every binary has the functions that are asked for, and the tests know no others', () => {
  const found = Object.keys(require('../lib/native').native);
  expect(found.sort()).toEqual([...EXPORTS].sort());
});

describe('the package for the platform', () => {
  const everything = tree(all);

  test.each(prebuilt)('$name is taken, with all the others beside it', async (one) => {
    expect(await supportOf(everything, { looks: like(one) })).toEqual({
      ...{ available: true, syscall: one.name, platform: one.name },
    });
  });

  test('is loaded, and its call works', async () => {
    const file = tmpFile('by the package');
    const program = `
      const fs = require('node:fs');
      more.sent = s.sendfileSync(fs.openSync('/dev/null', 'w'), fs.openSync(${JSON.stringify(file)}), 0, 100);`;
    const found = await supportOf(tree({ [here]: own }), { program });
    expect(found).toEqual({ available: true, syscall: 'sendfile', platform: here, sent: 14 });
  });

  test('yields to a binary that was built in this directory', async () => {
    const place = tree({ [here]: {} });
    fs.copyFileSync(binary, path.join(place, path.basename(binary)));
    expect(await supportOf(place)).toMatchObject({ available: true, syscall: 'sendfile' });
  });

  test('is loaded by workers, too, at the same time', async () => {
    const place = tree({ [here]: own });
    const file = tmpFile('in a worker');
    const worker = `
      const fs = require('node:fs');
      const s = require(${JSON.stringify(place)});
      s.sendfile(fs.openSync('/dev/null', 'w'), fs.openSync(${JSON.stringify(file)}), 0, 100).then((sent) =>
        require('node:worker_threads').parentPort.postMessage([s.support.available, sent]));`;
    const { code, stdout } = await runInChild(
      `const { Worker } = require('node:worker_threads');
       const { once } = require('node:events');
       require(${JSON.stringify(place)});
       const workers = [1, 2, 3].map(() => new Worker(${JSON.stringify(worker)}, { eval: true }));
       Promise.all(workers.map((one) => once(one, 'message'))).then((all) => console.log(JSON.stringify(all.flat())));`,
      { env: { NAPI_RS_NATIVE_LIBRARY_PATH: '' } },
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(Array(3).fill([true, 11]));
  });
});

describe('a package that is missing', () => {
  const bare = tree();

  test.each(prebuilt)(
    '$name: the reason has its name and version, and the line that installs it',
    async (one) => {
      const { available, platform, reason } = await supportOf(bare, { looks: like(one) });
      expect({ available, platform }).toEqual({ available: false, platform: one.name });
      const flags = `--os=${one.os} --cpu=${one.cpu}${one.libc ? ` --libc=${one.libc}` : ''}`;
      expect(reason).toContain(
        `"npm install --no-save --save-optional ${flags} rs-sendfile-${one.name}@${version}"`,
      );
      if (one.libc) expect(reason).toContain(`runs on ${one.libc}`);
      expect(reason).toMatch(/--omit=optional.*package-lock\.json/);
      expect(reason).not.toContain('\n');
    },
  );

  test.each([
    ['musl for glibc', 'linux-x64-musl', gnu],
    ['glibc for musl', 'linux-x64-gnu', musl],
    ['macOS for Linux', 'darwin-arm64', gnu],
  ])('and another in its place, %s: is not loaded, and named', async (_, name, looks) => {
    const { available, reason } = await supportOf(tree({ [name]: {} }), { looks });
    expect(available).toBe(false);
    expect(reason).toContain(`rs-sendfile-${name} is installed instead`);
  });
});

describe('where no binary is published', () => {
  const everything = tree(all);

  test('the reason says so, and that there is the source', async () => {
    const { available, reason } = await supportOf(everything, { looks: { ...gnu, arch: 'mipsel' } });
    expect(available).toBe(false);
    expect(reason).toMatch(/no binary is published for linux-mipsel-gnu: .*from source/);
  });

  test.each(['netbsd', 'openbsd', 'sunos', 'aix', 'android'])('%s: the same', async (platform) => {
    const { reason } = await supportOf(everything, { looks: { platform, arch: 'x64' } });
    expect(reason).toContain(`no binary is published for ${platform}-x64: `);
  });

  test('Windows: that there is none, and transfers copy', async () => {
    const { platform, reason } = await supportOf(everything, { looks: { platform: 'win32', arch: 'x64' } });
    expect(platform).toBe('win32-x64');
    expect(reason).toMatch(/Windows has no addon.*Transfers copy/);
  });

  test('a Node for ARMv6 is not given the binary for ARMv7', async () => {
    const looks = { ...gnu, arch: 'arm', arm: '6' };
    const { available, reason } = await supportOf(everything, { looks });
    expect(available).toBe(false);
    expect(reason).toMatch(/ARMv6.*ARMv7.*from source/);
  });
});

describe('a package that is installed and of no use', () => {
  const load = (packaged, options) => supportOf(tree({ [here]: packaged }), options);
  const withFile = (content) => ({ main: 'x.node', files: { 'x.node': content } });

  test('of another version: refused, with both versions', async () => {
    const { available, reason } = await load({ ...own, version: '0.0.9' });
    expect(available).toBe(false);
    expect(reason).toContain(`rs-sendfile-${here} is of version 0.0.9, and rs-sendfile of ${version}`);
    expect(reason).toContain(`rs-sendfile-${here}@${version}"`);
  });

  test('without its file: says which', async () => {
    const { reason } = await load({ main: 'x.node', files: {} });
    expect(reason).toMatch(/is broken: .*x\.node does not exist.*npm install/);
  });

  test('with a package.json that is none: says so', async () => {
    const { reason } = await load({ files: { 'package.json': '{ "name":' } });
    expect(reason).toMatch(/is broken: .*npm install/);
  });

  test.each(['init', 'transfer', 'sendNow'])('without %s(): refused', async (lacking) => {
    const { available, reason } = await load({ files: { 'binary.js': standIn('x', [lacking]) } });
    expect(available).toBe(false);
    expect(reason).toContain(`is no binary of rs-sendfile ${version}: it has no ${lacking}()`);
  });

  test.each([
    ['empty', '', /x\.node does not load: .*/],
    ['text', 'no binary at all\n'.repeat(1000), /x\.node does not load: .*/],
    ['a picture of an ELF file', '\x7fELF', /x\.node does not load: .*/],
  ])('%s: the loader’s own words', async (_, content, reason) => {
    expect(await load(withFile(content))).toMatchObject({
      available: false,
      reason: expect.stringMatching(reason),
    });
  });

  const isElf = readElf(binary) !== null;
  const onElf = isElf ? describe : describe.skip;
  onElf(`an ELF file${isElf ? '' : ` (${process.platform} has others)`}`, () => {
    const bytes = fs.readFileSync(binary);
    const needed = readElf(binary).length;

    test.each([4000, needed >> 1, needed - 1])(
      'of which %i bytes are left: is not loaded',
      async (length) => {
        const { available, reason } = await load(withFile(bytes.subarray(0, length)));
        expect(available).toBe(false);
        expect(reason).toContain(`is cut off: it has ${length} bytes of ${needed}`);
      },
    );

    test('of which less than its table is left: is not loaded', async () => {
      const { reason } = await load(withFile(bytes.subarray(0, 100)));
      expect(reason).toContain('is cut off: it has 100 bytes of ');
    });

    test('for another machine: says which, in words', async () => {
      const other = Buffer.from(bytes);
      const [machine, arch] = process.arch === 'arm64' ? [62, 'x64'] : [183, 'arm64'];
      other[18] = machine;
      const { reason } = await load(withFile(other));
      expect(reason).toContain(
        `x.node does not load: it is built for ${arch}, and this process is ${process.arch}`,
      );
    });
  });
});

describe('NAPI_RS_NATIVE_LIBRARY_PATH', () => {
  const by = (file, packages = { [here]: own }) =>
    supportOf(tree(packages), { env: { NAPI_RS_NATIVE_LIBRARY_PATH: file } });

  test('names the binary that is taken', async () => {
    expect(await by(tmpFile(standIn('mine'), 'mine.js'))).toMatchObject({ available: true, syscall: 'mine' });
  });

  test('is taken from the directory that the process is in', async () => {
    expect(await by(path.relative(process.cwd(), binary), {})).toMatchObject({
      available: true,
      syscall: 'sendfile',
    });
  });

  test.each([
    ['nothing', '/no/such/file.node', /\/no\/such\/file\.node does not exist/],
    ['a file of something else', tmpFile('text', 'text.node'), /text\.node does not load/],
    ['a module of something else', tmpFile('', 'empty.js'), /empty\.js is no binary of rs-sendfile/],
  ])('names %s: says so, and does not take the package that is there', async (_, file, why) => {
    const { available, reason } = await by(file);
    expect(available).toBe(false);
    expect(reason).toMatch(/^NAPI_RS_NATIVE_LIBRARY_PATH names/);
    expect(reason).toMatch(why);
  });
});

describe('a process that may not load addons', () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const flag = major >= 24 || (major === 22 && minor >= 13) ? '--permission' : '--experimental-permission';
  const place = tree({ [here]: own });
  const args = [
    flag,
    `--allow-fs-read=${path.dirname(path.dirname(path.dirname(place)))}/*`,
    '--allow-fs-read=/dev/*',
  ];

  const hasModel = major >= 20;
  (hasModel ? test : test.skip)(
    `by the permission model${hasModel ? '' : ' (this Node has none)'}: the reason names the flag`,
    async () => {
      const { available, platform, reason } = await supportOf(place, { args });
      expect({ available, platform }).toEqual({ available: false, platform: here });
      expect(reason).toContain('--allow-addons');
    },
  );

  (hasModel ? test : test.skip)(
    `by the permission model${hasModel ? '' : ' (this Node has none)'}: with that flag it is loaded`,
    async () => {
      const found = await supportOf(place, { args: [...args, '--allow-addons'] });
      expect(found).toMatchObject({ available: true, platform: here });
    },
  );

  test('by --no-addons: the reason names the flag', async () => {
    const { available, reason } = await supportOf(place, { args: ['--no-addons'] });
    expect(available).toBe(false);
    expect(reason).toContain('--no-addons');
  });
});

test('every published binary has one name, and on Linux a C library', () => {
  expect(new Set(prebuilt.map(({ name }) => name)).size).toBe(prebuilt.length);
  for (const { name, os, cpu, libc } of prebuilt) {
    expect(name.startsWith(`${os}-${cpu}`)).toBe(true);
    if (os === 'linux') expect(['glibc', 'musl']).toContain(libc);
    else expect(libc).toBeUndefined();
  }
});
