'use strict';

/**
 * `npm run test:nodes [-- jest arguments]`: jest under every Node line that this package supports, other than the one
 * that runs. The last line is `N passed, N failed`; a Node that could not be had, or a run that did not count to its end,
 * is 1 failed.
 */

const { ensure } = require('./ensure');
const { runJest } = require('./jest');
const { VERSIONS, canGet, getNode, major } = require('./nodes');
const { counts, summarize } = require('./totals');

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
  summarize(rows, (row) => {
    const seconds = row.seconds.toFixed(1).padStart(7);
    return `Node ${row.version.padEnd(12)} ${seconds} s  ${counts(row)}`;
  });
}

async function runUnder(version, args) {
  console.log(`\n== Node ${version}`);
  const node = getNode(version);
  if (node === null) return { version, passed: 0, failed: 1, seconds: 0 };
  return { version, ...(await runJest({ node, args, limit: LIMIT_MS })) };
}

main(process.argv.slice(2));
