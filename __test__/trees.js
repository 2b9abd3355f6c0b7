'use strict';

/** Trees of node_modules in which this package stands beside binaries of a test's choice, and processes to look at them. */

const fs = require('node:fs');
const path = require('node:path');
const { binaryPath, root, runInChild, tmpFile, tmpPath } = require('./helpers');
const { EXPORTS } = require('../lib/exports');

const { version } = require('../package.json');
/** This machine's own binary. */
const binary = binaryPath();

/** The text of a module that has what a binary has, and says its name as its system call. */
function standIn(name, without = []) {
  const names = EXPORTS.filter((key) => !without.includes(key));
  return `${names.map((key) => `exports.${key} = () => 0;`).join('\n')}
    if (exports.constants) exports.constants = () => ({});
    if (exports.syscall) exports.syscall = () => ${JSON.stringify(name)};`;
}

/**
 * A tree with this package, as it is published, and these others.
 * @param {Record<string, { version?: string, main?: string, files?: Record<string, string | Buffer> }>} packages by the
 *   name of their platform; files by their names. Without files: one stand-in.
 * @returns {string} the package's directory in it
 */
function tree(packages = {}) {
  const modules = path.join(tmpPath('tree'), 'node_modules');
  const place = path.join(modules, 'rs-sendfile');
  for (const name of ['index.js', 'register.js', 'send.js', 'package.json', 'lib']) {
    fs.cpSync(path.join(root, name), path.join(place, name), { recursive: true });
  }
  for (const [name, { files, ...manifest }] of Object.entries(packages)) {
    const directory = path.join(modules, `rs-sendfile-${name}`);
    const main = manifest.main ?? 'binary.js';
    fs.mkdirSync(directory, { recursive: true });
    const text = JSON.stringify({ name: `rs-sendfile-${name}`, version, main, ...manifest });
    for (const [file, content] of Object.entries({
      'package.json': text,
      ...(files ?? { [main]: standIn(name) }),
    })) {
      fs.writeFileSync(path.join(directory, file), content);
    }
  }
  return place;
}

/** The smallest ELF file that names its machine and its interpreter. */
function elf({ machine = 62, wide = true, big = false, interpreter }) {
  const bytes = Buffer.alloc(256);
  const half = (value, at) => (big ? bytes.writeUInt16BE(value, at) : bytes.writeUInt16LE(value, at));
  const int = (value, at) => (big ? bytes.writeUInt32BE(value, at) : bytes.writeUInt32LE(value, at));
  // The upper half of a wide number is 0.
  const word = (value, at) => int(value, wide && big ? at + 4 : at);
  bytes.write('\x7fELF', 'latin1');
  bytes[4] = wide ? 2 : 1;
  bytes[5] = big ? 2 : 1;
  half(machine, 18);
  const table = wide ? 64 : 52;
  word(table, wide ? 32 : 28);
  half(wide ? 56 : 32, wide ? 54 : 42);
  half(interpreter ? 1 : 0, wide ? 56 : 44);
  int(3, table);
  word(128, table + (wide ? 8 : 4));
  word((interpreter ?? '').length + 1, table + (wide ? 32 : 16));
  if (interpreter) bytes.write(`${interpreter}\0`, 128, 'latin1');
  return bytes;
}

/** An executable that asks for this interpreter. */
const executable = (interpreter, options) => tmpFile(elf({ interpreter, ...options }), 'node');

/**
 * A file to preload that has the process look like another.
 * @param {{ platform?: string, arch?: string, execPath?: string, report?: string, versions?: object, arm?: string }} looks
 *   `report`: the text of an expression
 */
function disguised({ platform, arch, execPath, report, versions, arm }) {
  const set = (name, text) =>
    `Object.defineProperty(process, '${name}', { value: ${text}, configurable: true });`;
  return tmpFile(
    [
      platform && set('platform', JSON.stringify(platform)),
      arch && set('arch', JSON.stringify(arch)),
      execPath && set('execPath', JSON.stringify(execPath)),
      report && set('report', report),
      versions && set('versions', `{ ...process.versions, ...${JSON.stringify(versions)} }`),
      arm && set('config', `{ variables: { arm_version: ${JSON.stringify(arm)} } }`),
    ]
      .filter(Boolean)
      .join('\n'),
    'disguise.js',
  );
}

const INTERPRETERS = { glibc: '/lib64/ld-linux-x86-64.so.2', musl: '/lib/ld-musl-x86_64.so.1' };

/** A process of this platform, as one of `lib/prebuilt.js`. */
const like = ({ os, cpu, libc }) => ({
  ...{ platform: os, arch: cpu, execPath: executable(INTERPRETERS[libc ?? 'glibc']) },
  arm: '7',
});

/** What a process says that loads the package in this place: its `support`, and what else a program prints. */
async function supportOf(place, { looks, args = [], env, program = '' } = {}) {
  const preload = looks ? ['-r', disguised(looks)] : [];
  const text = `
    const s = require(${JSON.stringify(place)});
    const more = {};
    ${program}
    console.log(JSON.stringify({ ...s.support, ...more }));`;
  const { code, signal, stdout, stderr } = await runInChild(text, {
    args: [...args, ...preload],
    env: { NAPI_RS_NATIVE_LIBRARY_PATH: '', RS_SENDFILE_DISABLE: '', NODE_OPTIONS: '', ...env },
  });
  if (code !== 0) throw new Error(`ended by ${signal ?? code}: ${stderr}`);
  return JSON.parse(stdout);
}

module.exports = {
  binary,
  disguised,
  elf,
  executable,
  INTERPRETERS,
  like,
  standIn,
  supportOf,
  tree,
  version,
};
