'use strict';

/** What a binary has to be before it is published. */

const os = require('node:os');
const path = require('node:path');
const { readBinary } = require('./binary');

const LIMIT = 1024 * 1024;
const ENTRY = /^_?napi_register_module_v1$/;
const root = path.join(__dirname, '..', '..');

/**
 * @param {Buffer} bytes
 * @param {import('./targets').Target} target
 * @returns {{ what: string, wrong: string | null }[]}
 */
function checkBinary(bytes, target) {
  const binary = readBinary(bytes);
  const checks = [
    ['the format', is(`${binary.format} ${binary.type}`, `${target.format} library`)],
    ['the processor', is(binary.arch, target.arch)],
    ['the size', bytes.length <= LIMIT ? null : `${bytes.length} bytes, more than ${LIMIT}`],
    [
      'the entry for Node',
      binary.exports.some((name) => ENTRY.test(name)) ? null : 'napi_register_module_v1 is not exported',
    ],
    ["the system's sendfile", importsSendfile(binary, target)],
    [
      'no other libraries',
      list(
        binary.libraries.filter((name) => !target.libraries.test(name)),
        'needs',
      ),
    ],
    ['no paths of this machine', list(machinePaths(bytes), 'holds')],
  ];
  for (const [name, prefix, bound] of [
    ['glibc', 'GLIBC_', target.glibc],
    ['symbols of FreeBSD', 'FBSD_', target.fbsd],
  ])
    if (bound) checks.push([`${name} ${bound}`, newerSymbols(binary, prefix, bound)]);
  if (target.macos) {
    checks.push([`macOS ${target.macos}`, is(binary.macos ?? 'none', target.macos)]);
    // Intel's need none, but one that does not hold is none.
    const signed = binary.signature === 'valid' || (binary.signature === 'none' && target.cpu === 'x64');
    checks.push(['the signature', signed ? null : `${binary.signature ?? 'none'}, not valid`]);
  }
  return checks.map(([what, wrong]) => ({ what, wrong }));
}

const is = (found, wanted) => (found === wanted ? null : `${found}, not ${wanted}`);
const list = (found, verb) => (found.length === 0 ? null : `${verb} ${found.slice(0, 3).join(', ')}`);

function importsSendfile({ imports }, { sendfile }) {
  // glibc's own version of it is none of our business; FreeBSD's tells which sendfile it is.
  const plain = (name) => name.replace(/@GLIBC_.*/, '');
  return imports.some((name) => sendfile.includes(plain(name)))
    ? null
    : `${sendfile.join(' or ')} is not imported`;
}

/** @returns {string | null} */
function newerSymbols({ versions }, prefix, bound) {
  const asked = versions
    .filter((version) => version.startsWith(prefix))
    .map((version) => version.slice(prefix.length));
  if (asked.length === 0) return `asks for no ${prefix}*`;
  const newest = asked.sort(compareVersions).at(-1);
  return compareVersions(newest, bound) <= 0 ? null : `asks for ${prefix}${newest}`;
}

/** What is no number, like GLIBC_PRIVATE, which one build of glibc has alone, is newer than any. */
function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) =>
    version.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : Infinity)),
  );
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [x, y] = [left[index] ?? 0, right[index] ?? 0];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Words in which a folder of this machine stands. */
function machinePaths(bytes, folders = [root, os.homedir()]) {
  const found = new Set();
  for (const folder of folders.filter((name) => name.length > 1)) {
    for (let at = bytes.indexOf(folder); at >= 0; at = bytes.indexOf(folder, at + 1)) {
      // `/root` is also the beginning of words that are no path.
      const word = /^[\x21-\x7e]*/.exec(bytes.toString('latin1', at, at + 200))[0];
      if (word === folder || word[folder.length] === '/') found.add(word);
    }
  }
  return [...found];
}

module.exports = { checkBinary, compareVersions, machinePaths };
