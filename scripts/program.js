'use strict';

/** One run of a program of `__test__/runtimes/harness.js`, and what it counted. */

const { spawn } = require('node:child_process');

/**
 * Its counts are those of its lines, and its last line and exit code must agree with them: otherwise that is 1 failed
 * more.
 * @param {string} binary
 * @param {string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, limit: number, quiet?: boolean }} options `limit`: milliseconds: a
 *   program that hangs must not hang the rest. `quiet`: what it says is not passed on
 * @returns {Promise<{ passed: number, failed: number }>}
 */
function runProgram(binary, args, { cwd, env = process.env, limit, quiet = false }) {
  return new Promise((resolve) => {
    const child = spawn(binary, args, { cwd, env, stdio: ['ignore', 'pipe', quiet ? 'ignore' : 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      if (!quiet) process.stdout.write(text);
    });
    const timer = setTimeout(() => {
      console.error(`rs-sendfile: not done after ${limit / 60_000} minutes: ended`);
      child.kill('SIGKILL');
    }, limit);
    child.on('error', (error) => console.error(error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const passed = output.match(/^ok /gm)?.length ?? 0;
      const failed = output.match(/^not ok /gm)?.length ?? 0;
      const whole =
        output.endsWith(`${passed} passed, ${failed} failed\n`) && code === (failed === 0 ? 0 : 1);
      if (!whole && !quiet)
        console.error(`rs-sendfile: it did not come to its end: exit code ${code}, signal ${signal}`);
      resolve({ passed, failed: whole ? failed : failed + 1 });
    });
  });
}

module.exports = { runProgram };
