'use strict';

/**
 * `npm run test:runtimes [-- program ...]`: the programs of `__test__/runtimes` under Bun and Deno, and under this Node,
 * which tells that the programs are right. The binaries come from npm and stay in node_modules/.cache/runtimes. The last
 * line is `N passed, N failed`; a runtime that could not be had, or a program that did not come to its end, is 1 failed.
 */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { getBinary } = require('./binaries');
const { ensure } = require('./ensure');

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
      rows.push({ title: `${runtime.title}, ${name}`, ...(await run(binary, args)) });
    }
  }
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log('\n== summary');
  for (const { title, passed, failed } of rows) {
    console.log(`${failed === 0 ? 'ok  ' : 'FAIL'}  ${title.padEnd(30)}  ${passed} passed, ${failed} failed`);
  }
  process.exitCode = sum('failed') === 0 ? 0 : 1;
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
}

/** What one program counted: by its lines, and its last line and exit code must agree with them. */
function run(binary, args) {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' };
    const child = spawn(binary, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    const timer = setTimeout(() => {
      console.error(`rs-sendfile: not done after ${LIMIT_MS / 60_000} minutes: ended`);
      child.kill('SIGKILL');
    }, LIMIT_MS);
    child.on('error', (error) => console.error(error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const passed = output.match(/^ok /gm)?.length ?? 0;
      const failed = output.match(/^not ok /gm)?.length ?? 0;
      const whole =
        output.endsWith(`${passed} passed, ${failed} failed\n`) && code === (failed === 0 ? 0 : 1);
      if (!whole)
        console.error(`rs-sendfile: it did not come to its end: exit code ${code}, signal ${signal}`);
      resolve({ passed, failed: whole ? failed : failed + 1 });
    });
  });
}

main(process.argv.slice(2));
