'use strict';

/** The files that are served: in a directory of its own on a real disk, gone with this process. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { bytesOf } = require('./sizes');

const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]); // tmpfs, ramfs
const MIB = 2 ** 20;
const STAMP = 64;

/** A directory that all users may read, on a disk if there is one. */
function makeDirectory() {
  const places = [os.tmpdir(), '/var/tmp', path.join(__dirname, '..', '..', 'target')];
  const onDisk = places.filter((place) => fs.existsSync(place) && !inMemory(place));
  const directory = fs.mkdtempSync(path.join(onDisk[0] ?? places[0], 'rs-sendfile-bench-'));
  fs.chmodSync(directory, 0o755);
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const inMemory = (place) => MEMORY_FILE_SYSTEMS.has(fs.statfsSync(place).type);

/** A file with bytes that tell their place, by the name of its size, such as `64k`. */
function makeFile(directory, size, name = size) {
  const file = path.join(directory, name);
  const bytes = Buffer.allocUnsafe(bytesOf(size));
  let state = 2463534242;
  for (let i = 0; i + 4 <= bytes.length; i += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, i);
  }
  fs.writeFileSync(file, bytes);
  return file;
}

/** 64 bytes that stand at the beginning of this MiB of a large file. */
function stampOf(mib) {
  return Buffer.from(`${mib} `.padEnd(STAMP, `${mib}.`).slice(0, STAMP));
}

/**
 * A file of gigabytes: a stamp in each MiB, zeros without a block on the disk between them. It is read once, so that all
 * its pages are in memory, as those of any file would be.
 */
function makeLargeFile(directory, size) {
  const file = path.join(directory, size);
  const fd = fs.openSync(file, 'w+');
  const length = bytesOf(size);
  fs.ftruncateSync(fd, length);
  for (let mib = 0; mib < length / MIB; mib++) fs.writeSync(fd, stampOf(mib), 0, STAMP, mib * MIB);
  fs.fsyncSync(fd);
  const buffer = Buffer.alloc(4 * MIB);
  for (let at = 0; at < length; ) at += fs.readSync(fd, buffer, 0, buffer.length, at);
  fs.closeSync(fd);
  return file;
}

/** Drops files from the page cache, by posix_fadvise, which dd calls; says what part of them is left there. */
function evict(files) {
  for (const file of files) {
    const { status } = spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
    if (status !== 0) throw new Error('dd does not drop a file from the page cache');
  }
  const { stdout, status } = spawnSync('fincore', ['-b', '-n', '-o', 'RES', ...files], { encoding: 'utf8' });
  if (status !== 0) return null; // no fincore here
  const left = stdout.trim().split('\n').map(Number);
  const all = files.reduce((sum, file) => sum + fs.statSync(file).size, 0);
  return left.reduce((sum, bytes) => sum + bytes, 0) / all;
}

module.exports = { makeDirectory, makeFile, makeLargeFile, stampOf, evict, inMemory, MIB, STAMP };
