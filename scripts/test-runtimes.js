'use strict';

/**
 * `npm run test:runtimes [-- program ...]`: the programs of `__test__/runtimes` under Bun and Deno, and under this Node,
 * which tells that the programs are right. The binaries come from npm and stay in node_modules/.cache/runtimes. The last
 * line is `N passed, N failed`; a runtime that could not be had, or a program that did not come to its end, is 1 failed.
 */

const fs = require('node:fs');
const path = require('node:path');
const { getBinary } = require('./binaries');
const { ensure } = require('./ensure');
const { runProgram } = require('./program');
const { counts, summarize } = require('./totals');

const RUNTIMES = [
  { title: `Node ${process.versions.node}`, binary: () => process.execPath, args: [] },
  {
    title: 'Bun 1.4.5',
    binary: () =>
      getBinary({ folder: 'runtimes', name: '@oven/bun-linux-x64', version: '1.4.5', bin: 'bin/bun' }),
    args: [],
  },
  {
    title: 'Deno 2.9.6',
    binary: () =>
      getBinary({ folder: 'runtimes', name: '@deno/linux-x64-glibc', version: '2.9.6', bin: 'deno' }),
    args: ['run', '--allow-all'],
  },
];
/** A program that hangs must not hang the rest. */
const LIMIT_MS = 2 * 60 * 1000;

const root = path.join(__dirname, '..');
const programs = path.join(root, '__test__', 'runtimes');

async function main(wanted) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.log(
      `Bun and Deno are had for linux x64 only: nothing is tested on ${process.platform} ${process.arch}.`,
    );
    console.log('0 passed, 0 failed');
    return;
  }
  ensure();
  const names = fs
    .readdirSync(programs)
    .filter((name) => name !== 'harness.js')
    .filter((name) => wanted.length === 0 || wanted.includes(path.basename(name, '.js')));
  const env = { ...process.env, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' };
  const options = { cwd: root, env, limit: LIMIT_MS };
  const rows = [];
  for (const runtime of RUNTIMES) {
    console.log(`\n== ${runtime.title}`);
    const binary = runtime.binary();
    if (binary === null) {
      rows.push({ title: runtime.title, passed: 0, failed: 1 });
      continue;
    }
    for (const name of names) {
      console.log(`-- ${name}`);
      const args = [...runtime.args, path.join(programs, name)];
      rows.push({ title: `${runtime.title}, ${name}`, ...(await runProgram(binary, args, options)) });
    }
  }
  summarize(rows, (row) => `${row.title.padEnd(30)}  ${counts(row)}`);
}

main(process.argv.slice(2));
