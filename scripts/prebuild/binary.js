'use strict';

const fs = require('node:fs');
const { isElf, readElf } = require('./elf');
const { isMachO, readMachO } = require('./macho');

/**
 * @typedef {object} Binary
 * @property {string} format       'ELF', 'Mach-O', or 'neither ELF nor Mach-O'
 * @property {string} type         'library', 'program', ...
 * @property {string} arch
 * @property {string[]} libraries  that it needs
 * @property {string[]} imports    symbols, with `@VERSION` where they ask for one
 * @property {string[]} exports
 * @property {string[]} versions   of symbols, that its libraries have to have
 * @property {string} [id]         Mach-O: its own name
 * @property {string} [macos]      Mach-O: the oldest system that loads it
 * @property {'valid' | 'broken' | 'none'} [signature]  Mach-O
 */

/**
 * @param {Buffer} bytes
 * @returns {Binary}
 */
function readBinary(bytes) {
  try {
    if (isElf(bytes)) return readElf(bytes);
    if (isMachO(bytes)) return readMachO(bytes);
  } catch (error) {
    // It points beyond its end.
    if (error.code !== 'ERR_OUT_OF_RANGE') throw error;
    return { ...NEITHER, format: 'cut off' };
  }
  return { ...NEITHER };
}

const NEITHER = {
  format: 'neither ELF nor Mach-O',
  type: 'unknown',
  arch: 'unknown',
  libraries: [],
  imports: [],
  exports: [],
  versions: [],
};

/** @param {string} file */
function readBinaryFile(file) {
  return readBinary(fs.readFileSync(file));
}

module.exports = { readBinary, readBinaryFile };
