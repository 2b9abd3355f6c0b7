'use strict';

/**
 * `npm run test:nodes [-- jest arguments]`: jest under every Node line that this package supports, other than the one
 * that runs. The last line is `N passed, N failed`; a Node that could not be had, or a run that did not count to its end,
 * is 1 failed.
 */

const { ensure } = require('./ensure');
const { runJest } = require('./jest');
const { VERSIONS, canGet, getNode, major } = require('./nodes');

/** A run that hangs must not hang the rest. */
const LIMIT_MS = 10 * 60 * 1000;

async function main(jestArgs) {
  if (!canGet) {
    console.log(
      `Other Nodes can be had for linux x64 only: nothing is tested on ${process.platform} ${process.arch}.`,
    );
    console.log('0 passed, 0 failed');
    return;
  }
  ensure();
  const rows = [];
  for (const version of VERSIONS) {
    if (major(version) !== major(process.versions.node)) rows.push(await runUnder(version, jestArgs));
  }
  summarize(rows);
}

async function runUnder(version, args) {
  console.log(`\n== Node ${version}`);
  const node = getNode(version);
  if (node === null) return { version, passed: 0, failed: 1, seconds: 0 };
  return { version, ...(await runJest({ node, args, limit: LIMIT_MS })) };
}

function summarize(rows) {
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log('\n== summary');
  for (const { version, passed, failed, seconds } of rows) {
    const mark = failed === 0 ? 'ok  ' : 'FAIL';
    console.log(
      `${mark}  Node ${version.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s  ${passed} passed, ${failed} failed`,
    );
  }
  process.exitCode = sum('failed') === 0 ? 0 : 1;
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
}

main(process.argv.slice(2));
