'use strict';

/** What the repository promises about itself, by looking at its text. */

const fs = require('node:fs');
const path = require('node:path');
const { root } = require('./helpers');

const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');

/** The files under `directory` that end so, as paths from the root. */
function files(directory, ending) {
  return fs.readdirSync(path.join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const file = `${directory}/${entry.name}`;
    if (entry.isDirectory()) return files(file, ending);
    return entry.name.endsWith(ending) ? [file] : [];
  });
}

/** Rust without its comments and texts. */
function rustCode(file) {
  const noise =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|\br(#*)"[\s\S]*?"\1|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^']+|[^'\\\n])'/g;
  return read(file).replace(noise, ' ');
}

/** JavaScript without its comments. */
function jsCode(file) {
  return read(file).replace(/^\s*\/\/[^\n]*|\/\*[\s\S]*?\*\//gm, ' ');
}

/** The part of a Rust file that is built into the product. */
function untested(code) {
  return code.split(/#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod\s+tests\b/)[0];
}

const rust = files('src', '.rs');
const inSys = (file) => file.startsWith('src/sys/');
const OS_FILES = ['linux', 'apple', 'freebsd', 'dragonfly', 'solarish', 'aix', 'unsupported'].map(
  (name) => `src/sys/${name}.rs`,
);

describe('Rust', () => {
  test('every platform has its file', () => {
    expect(rust).toEqual(expect.arrayContaining(OS_FILES));
  });

  test('only src/sys looks at the operating system', () => {
    const asks = /\btarget_(os|vendor|env|family)\b|\bcfg!?\s*\(\s*(not\s*\(\s*)?(unix|windows)\b/;
    expect(rust.filter((file) => !inSys(file) && asks.test(rustCode(file)))).toEqual([]);
  });

  test('unsafe stands only in src/sys, and once where JS names a descriptor', () => {
    const elsewhere = rust
      .filter((file) => !inSys(file))
      .flatMap((file) => [...rustCode(file).matchAll(/\bunsafe\b[^;]*;/g)].map(([text]) => [file, text]));
    expect(elsewhere.map(([file]) => file)).toEqual(['src/binding/args.rs']);
    const borrow = /fn borrow\b[\s\S]*?\n\}/.exec(rustCode('src/binding/args.rs'))[0];
    expect(borrow).toContain('unsafe {');
  });

  test('only src/binding knows Node-API', () => {
    const knows = rust.filter((file) => /\bnapi(_derive)?\b/.test(rustCode(file)));
    expect(knows.filter((file) => !file.startsWith('src/binding/'))).toEqual([]);
  });

  test('a panic in what JS calls is an exception there, not the end of the process', () => {
    const exports = rust.flatMap((file) =>
      [...rustCode(file).matchAll(/#\[napi\b[^\]]*\]/g)].map(([text]) => text),
    );
    expect(exports.length).toBeGreaterThan(10);
    expect(exports.filter((text) => text !== '#[napi(catch_unwind)]')).toEqual([]);
  });

  test('a transfer knows no threads', () => {
    expect(rustCode('src/transfer.rs')).not.toMatch(/\bthread\b|\bMutex\b|\bCondvar\b|\bpolling\b/);
  });

  test('each layer uses only what is below it', () => {
    const layers = ['sys', 'attempt', 'transfer', 'engine', 'binding'];
    const upwards = rust.flatMap((file) => {
      const layer = layers.indexOf(/^src\/(\w+)/.exec(file)[1]);
      if (layer < 0 || /tests?\.rs$|testing\.rs$/.test(file)) return [];
      const uses = [...untested(rustCode(file)).matchAll(/\bcrate::(\w+)/g)].map(([, name]) => name);
      return uses.filter((name) => layers.indexOf(name) > layer).map((name) => `${file} uses ${name}`);
    });
    expect(upwards).toEqual([]);
  });

  test.each(OS_FILES)('%s makes its call once and never waits', (file) => {
    const code = untested(rustCode(file));
    expect(code.length).toBeGreaterThan(100);
    expect(code).not.toMatch(/\bloop\b|\bwhile\b|\bfor\b[^{;]*\bin\b/);
    expect(code).not.toMatch(/\b(sleep|poll|ppoll|select|wait|park|yield_now|kevent|port_get)\s*\(/);
  });
});

describe('JavaScript', () => {
  const lib = files('lib', '.js');
  const required = (file) =>
    [...jsCode(file).matchAll(/\brequire\('([^']+)'\)/g)]
      .map(([, name]) => name)
      // Asked by lib/native.js for the version.
      .filter((name) => name !== '../package.json');
  const own = (file) =>
    required(file)
      .filter((name) => name.startsWith('.'))
      .map((name) => `${path.posix.join(path.posix.dirname(file), name)}.js`);

  test('only lib/target.js looks at the platform', () => {
    const asks =
      /process\s*\??\.\s*(platform|arch)|process\[|\}\s*=\s*process\b|\bos\s*\.\s*(platform|arch|type|release|machine)\b/;
    expect(lib.filter((file) => asks.test(jsCode(file)))).toEqual(['lib/target.js']);
  });

  test('lib requires only lib and Node', () => {
    for (const file of lib) {
      for (const name of required(file)) expect(name).toMatch(/^node:|^\.\.?\/[\w/-]+$/);
      for (const other of own(file)) expect(lib).toContain(other);
    }
  });

  test('requires go in one direction', () => {
    const cycles = [];
    const done = new Set();
    const visit = (file, trail) => {
      if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '));
      if (done.has(file) || trail.includes(file)) return;
      for (const other of own(file)) visit(other, [...trail, file]);
      done.add(file);
    };
    for (const file of lib) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('the lowest files require nothing above them, the highest are required by no other', () => {
    expect(own('lib/errors.js')).toEqual([]);
    expect(own('lib/target.js')).toEqual(['lib/elf.js']);
    expect(own('lib/native.js').filter((file) => /(errors|args)\.js$/.test(file))).toEqual([]);
    expect(own('lib/args.js')).toEqual(['lib/errors.js']);
    const tops = ['lib/sendfile.js', 'lib/wait.js'];
    expect(lib.filter((file) => own(file).some((other) => tops.includes(other)))).toEqual([]);
  });

  test('errors are made in lib/errors.js alone', () => {
    const makes = /\bnew (\w*Error)\(/;
    expect(lib.filter((file) => makes.test(jsCode(file)))).toEqual(['lib/errors.js']);
  });
});

describe('package', () => {
  const manifest = JSON.parse(read('package.json'));

  test('nothing is needed at run time, and nothing runs at install', () => {
    expect(Object.keys(manifest.dependencies ?? {})).toEqual([]);
    const isOptional = (name) => manifest.peerDependenciesMeta[name]?.optional === true;
    expect(Object.keys(manifest.peerDependencies).filter((name) => !isOptional(name))).toEqual([]);
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare'];
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
  });

  test('the lockfile names no registry', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"|https?:\/\/[^"]*\.tgz/);
  });

  test('package.json, its lockfile, Cargo.toml and CHANGELOG.md name one version', () => {
    const { version } = manifest;
    expect(JSON.parse(read('package-lock.json')).packages[''].version).toBe(version);
    expect(/^version = "(.*)"/m.exec(read('Cargo.toml'))[1]).toBe(version);
    // The first heading that is a version: the newest.
    expect(/^## \[?v?(\d+\.\d+\.\d+[^\s\]]*)/m.exec(read('CHANGELOG.md'))[1]).toBe(version);
  });

  test('what is published has every file that the entry points name', () => {
    const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves));
    const named = [manifest.main, manifest.types, ...leaves(manifest.exports)];
    for (const file of named) expect(fs.existsSync(path.join(root, file))).toBe(true);
  });
});
