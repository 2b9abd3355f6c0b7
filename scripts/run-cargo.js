'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');

const root = path.join(__dirname, '..');

/**
 * One run of cargo, or of a program that stands for it, with a line of its output at a time.
 * @param {string[]} args
 * @param {object} options
 * @param {Record<string, string | undefined>} options.env  what is added to this process's own, and with undefined left out
 * @param {(line: string) => void} options.onLine
 * @param {string} [options.program]
 * @returns {Promise<boolean>} whether it succeeded
 */
function runCargo(args, { env, onLine, program = 'cargo' }) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      // Compiling std asks for RUSTC_BOOTSTRAP; set for some runs only, it would make each undo what the other has built.
      env: {
        ...process.env,
        CARGO_INCREMENTAL: '0',
        CARGO_TERM_COLOR: 'never',
        RUSTC_BOOTSTRAP: '1',
        ...env,
      },
      // What cargo says of its progress is of no use where lines do not move.
      stdio: ['ignore', 'pipe', args.includes('--message-format=json') ? 'ignore' : 'inherit'],
    });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) onLine(line);
    });
    child.on('error', (err) => {
      console.error(err.message);
      resolve(false);
    });
    child.on('close', (code) => resolve(code === 0));
  });
}

module.exports = { runCargo };
