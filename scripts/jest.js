'use strict';

/** One run of jest in a process of its own, and what it counted. */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { jestTotals } = require('./totals');

const root = path.join(__dirname, '..');
const bin = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');

/**
 * @param {object} options
 * @param {string} [options.node] the Node that runs it
 * @param {string[]} options.args jest's own
 * @param {number} options.limit milliseconds: a run that hangs must not hang the rest
 * @param {object} [options.env] beside this process's own
 * @param {string} [options.cwd] the root of what is tested
 * @returns {Promise<{ passed: number, failed: number, seconds: number }>} a run that ended before it had counted
 *   everything is 1 failed
 */
async function runJest({ node = process.execPath, args, limit, env, cwd = root }) {
  const started = Date.now();
  const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-jest-'));
  const report = path.join(temp, 'jest.json');
  try {
    // A test that fails may leave a server open: that must not keep its Node from ending.
    const ok = await run(
      node,
      [bin, '--json', `--outputFile=${report}`, '--forceExit', ...args],
      limit,
      env,
      cwd,
    );
    const { passed, failed } = jestTotals(report) ?? { passed: 0, failed: 1 };
    return { passed, failed: ok ? failed : Math.max(failed, 1), seconds: (Date.now() - started) / 1000 };
  } finally {
    fs.rmSync(temp, { recursive: true, force: true });
  }
}

/** Output goes straight to the terminal; true if it ended well. */
function run(node, args, limit, extra, cwd) {
  return new Promise((resolve) => {
    // What tests start by name must be this Node too.
    const PATH = `${path.dirname(node)}${path.delimiter}${process.env.PATH}`;
    const child = spawn(node, args, {
      cwd,
      env: { ...process.env, PATH, ...extra },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const timer = setTimeout(() => {
      console.error(`rs-sendfile: not done after ${limit / 60_000} minutes: ended`);
      child.kill('SIGKILL');
    }, limit);
    child.on('error', (error) => console.error(error.message));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

module.exports = { runJest };
