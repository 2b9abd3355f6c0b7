'use strict';

/** What is published: the package.json of each package, and what the main one holds. */

const fs = require('node:fs');
const path = require('node:path');
const { prebuilt } = require('../lib/prebuilt');
const { missing, missingModules, unexpected } = require('../scripts/prebuild/contents');
const {
  isTarballOf,
  mainManifest,
  platformManifest,
  platformReadme,
} = require('../scripts/prebuild/manifests');
const { support } = require('..');
const { root } = require('./helpers');

const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const platform = (name) => prebuilt.find((one) => one.name === name);

describe("a platform's package", () => {
  test('is installed on its system, processor and C library alone', () => {
    expect(platformManifest(platform('linux-arm-gnueabihf'), manifest)).toMatchObject({
      name: 'rs-sendfile-linux-arm-gnueabihf',
      version: manifest.version,
      license: 'MIT',
      engines: manifest.engines,
      os: ['linux'],
      cpu: ['arm'],
      libc: ['glibc'],
      main: 'rs-sendfile.linux-arm-gnueabihf.node',
      files: ['rs-sendfile.linux-arm-gnueabihf.node'],
      preferUnplugged: true,
      publishConfig: { access: 'public', provenance: true },
    });
    expect(platformManifest(platform('linux-x64-musl'), manifest).libc).toEqual(['musl']);
    expect(platformManifest(platform('darwin-arm64'), manifest)).not.toHaveProperty('libc');
  });

  test('runs nothing at its installation, and needs nothing', () => {
    for (const one of prebuilt) {
      const fields = Object.keys(platformManifest(one, manifest));
      expect(fields.filter((name) => /scripts|dependencies/i.test(name))).toEqual([]);
    }
  });

  test("has a tarball that is not taken for the main package's, nor for one that begins alike", () => {
    const files = [
      'rs-sendfile-0.1.0.tgz',
      'rs-sendfile-linux-arm-gnueabihf-1.2.0-rc.1.tgz',
      'rs-sendfile-x-0.tgz',
    ];
    const of = (name) => files.filter((file) => isTarballOf(name, file));
    expect(of('rs-sendfile')).toEqual([files[0]]);
    expect(of('rs-sendfile-linux-arm-gnueabihf')).toEqual([files[1]]);
    expect(of('rs-sendfile-linux-arm')).toEqual([]);
  });

  test('says what it is for', () => {
    expect(platformReadme(platform('linux-ppc64-gnu'))).toContain('for Linux ppc64 (glibc)');
    expect(platformManifest(platform('darwin-arm64'), manifest).description).toContain('macOS arm64');
  });
});

describe('the main package', () => {
  const published = mainManifest(manifest, prebuilt);

  test("asks for every platform's package in its very version, which the repository does not", () => {
    expect(Object.keys(published.optionalDependencies)).toEqual(
      prebuilt.map(({ name }) => `rs-sendfile-${name}`),
    );
    expect(new Set(Object.values(published.optionalDependencies))).toEqual(new Set([manifest.version]));
    expect(manifest).not.toHaveProperty('optionalDependencies');
  });

  test('has no field that only development needs, and every other', () => {
    const dropped = Object.keys(manifest).filter((field) => !(field in published));
    expect(dropped.sort()).toEqual(['devDependencies', 'napi', 'scripts']);
    for (const field of ['name', 'version', 'exports', 'engines', 'files', 'peerDependencies'])
      expect(published[field]).toEqual(manifest[field]);
  });

  test('holds no binary, no test and nothing of the development', () => {
    const strangers = [
      `rs-sendfile.${support.platform}.node`,
      'src/engine/tests.rs',
      'src/attempt/native_tests.rs',
      'src/sys/fake.rs',
      'src/sys/fake/linux.rs',
      'src/sys/testing.rs',
      'src/kernels.rs',
      'src/engine/schedules.rs',
      'src/binding/probes.rs',
      'scripts/start.js',
      '__test__/helpers.js',
      'lib/notes.md',
    ];
    expect(unexpected([...strangers, 'index.js', 'lib/register/hook.js', 'src/sys/aix.rs'])).toEqual(
      strangers,
    );
  });

  test('is missed what it cannot do without', () => {
    const all = [
      'package.json',
      'README.md',
      'LICENSE',
      'index.js',
      'index.mjs',
      'index.d.ts',
      'index.d.mts',
    ];
    const more = ['lib/native.js', 'lib/register/hook.js', 'Cargo.lock', 'src/lib.rs', 'src/sys/mod.rs'];
    expect(missing([...all, ...more, 'build.rs'])).toEqual([]);
    expect(missing([...all, ...more])).toEqual(['/^build\\.rs$/']);
  });

  test('is missed a Rust file that another one names, of whatever system', () => {
    const sources = new Map([
      ['src/lib.rs', '#[cfg(feature = "binding")]\nmod binding;\npub mod sys;\n#[cfg(test)]\nmod testing;\n'],
      ['src/binding/mod.rs', 'mod args;\n#[cfg(feature = "probes")]\nmod probes;\n'],
      ['src/binding/args.rs', 'mod deeper;'],
      ['src/binding/args/deeper.rs', '#[cfg(test)]\n#[path = "x.rs"]\nmod tests;'],
      ['src/sys/mod.rs', 'pub mod $module;\nplatform!(linux, Linux, x);\nplatform!(\n    aix,\n    Aix);'],
      ['src/sys/linux.rs', ''],
    ]);
    expect(missingModules(sources)).toEqual(['src/sys/aix']);
    sources.delete('src/binding/args.rs');
    expect(missingModules(sources)).toEqual(['src/binding/args', 'src/sys/aix']);
  });
});
