'use strict';

const fs = require('node:fs');
const path = require('node:path');

/**
 * Runs `work` while no other process runs it under the same lock file. Waits for as long as the other one takes.
 * @param {string} file
 * @param {(text: string) => void} say
 * @param {() => void} work  synchronous
 */
function withLock(file, say, work) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  for (let told = false; !take(file); sleep(200)) {
    const owner = read(file);
    if (owner === '') continue; // just released, or just being written
    if (isDead(owner)) {
      removeOf(owner, file);
    } else if (!told) {
      say(`waiting for process ${parseInt(owner, 10)}, which is installing or building here (${file})`);
      told = true;
    }
  }
  const release = () => fs.rmSync(file, { force: true });
  // process.exit() inside `work` passes no `finally`.
  process.once('exit', release);
  try {
    work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function take(file) {
  try {
    // The time makes two owners of one reused process id distinct.
    fs.writeFileSync(file, `${process.pid} ${Date.now()}`, { flag: 'wx' });
    return true;
  } catch (err) {
    if (err.code === 'EEXIST') return false;
    throw err;
  }
}

/**
 * Removes what a killed process left. Only the holder of a second lock, named after the dead owner, may: otherwise
 * two waiters could both see it dead, and the slower one would remove the lock the faster one has just taken.
 */
function removeOf(owner, file) {
  const breaker = `${file}.${owner.replace(' ', '.')}`;
  if (!take(breaker)) return;
  if (read(file) === owner) fs.rmSync(file, { force: true });
  fs.rmSync(breaker, { force: true });
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (err) {
    if (err.code === 'ENOENT') return '';
    throw err;
  }
}

function isDead(owner) {
  try {
    process.kill(parseInt(owner, 10), 0); // signal 0 only asks
    return false;
  } catch (err) {
    return err.code === 'ESRCH';
  }
}

function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

module.exports = { withLock };
