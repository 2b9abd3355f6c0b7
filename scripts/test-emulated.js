'use strict';

/**
 * `npm run test:emulated [-- [--emulated | --host] [word ...]]`: what `npm run build:all` has packed, installed as users
 * install it, never the working tree.
 *
 * - `--emulated`: the programs of `__test__/installed` with a Node of each platform whose package runs on Linux x64, by
 *   qemu or by musl's own loader. A word picks the platforms that have it in their names.
 * - `--host`: the whole jest suite on every Node, for this machine's own platform; and that broken packages are seen. A
 *   word picks the Nodes that begin with it.
 *
 * Without either, both.
 *
 * Nodes, qemu and C libraries are fetched (npm, PyPI, Debian) and stay in node_modules/.cache: on Linux x64 with apt and
 * pip. What cannot be had is FAILED. The last line is `N passed, N failed`.
 */

const { ensure } = require('./ensure');
const { testBroken } = require('./emulated/broken');
const { testForeign } = require('./emulated/foreign');
const { testHost } = require('./emulated/host');
const { PLATFORMS } = require('./emulated/platforms');
const { VERSIONS, canGet } = require('./nodes');

const HOST = 'linux-x64-gnu';

async function main(args) {
  if (!canGet) {
    console.log(
      `Nodes of other platforms are had on linux x64 only: nothing is tested on ${process.platform} ${process.arch}.`,
    );
    console.log('0 passed, 0 failed');
    return;
  }
  // The suite's own tools, and `send`, which users have beside this package.
  ensure({ addon: false });
  const words = args.filter((arg) => !arg.startsWith('--'));
  const both = !args.includes('--emulated') && !args.includes('--host');
  const rows = [];
  if (both || args.includes('--emulated')) rows.push(...(await emulated(words)));
  if (both || args.includes('--host')) rows.push(...(await host(both ? [] : words)));
  summarize(rows);
}

async function emulated(words) {
  const rows = [];
  for (const platform of PLATFORMS) {
    const { target, node } = platform;
    if (words.length > 0 && !words.some((word) => target.includes(word))) continue;
    console.log(`\n== ${target}, Node ${node}`);
    rows.push({ target, node, what: 'programs', ...(await timed(() => testForeign(platform))) });
  }
  return rows;
}

async function host(words) {
  const node = process.versions.node;
  console.log(`\n== ${HOST}, Node ${node}: broken packages`);
  const broken = await timed(() => testBroken(HOST));
  const versions = VERSIONS.filter(
    (version) => words.length === 0 || words.some((word) => version.startsWith(word)),
  );
  const suites = await testHost(HOST, versions);
  return [
    { target: HOST, node, what: 'broken', ...broken },
    ...suites.map((row) => ({ ...row, what: 'jest' })),
  ];
}

async function timed(work) {
  const started = Date.now();
  const counts = await work();
  return { ...counts, seconds: (Date.now() - started) / 1000 };
}

function summarize(rows) {
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  const line = (...cells) =>
    cells
      .map((cell, i) => (i < 5 ? String(cell).padEnd(WIDTHS[i]) : String(cell).padStart(WIDTHS[i])))
      .join('  ');
  console.log('\n== summary');
  console.log(line('', 'platform', 'Node', 'libc', 'tests', 'passed', 'failed', 'seconds'));
  for (const { target, node, what, passed, failed, seconds } of rows) {
    const mark = failed === 0 && passed > 0 ? 'ok' : 'FAIL';
    const libc = target.endsWith('musl') ? 'musl' : 'glibc';
    console.log(line(mark, target, node, libc, what, passed, failed, seconds.toFixed(1)));
  }
  process.exitCode = sum('failed') === 0 && rows.length > 0 ? 0 : 1;
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
}

const WIDTHS = [4, 20, 8, 5, 8, 6, 6, 7];

main(process.argv.slice(2));
