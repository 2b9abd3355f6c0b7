'use strict';

/** The end of a soak: what was done, what was found, and whether that is good. */

/** What memory may have grown by between the two looks, collected garbage aside. */
const MEMORY_MB = 48;
const RSS_MB = 160;

/**
 * @param {any} tally
 * @param {any} before what was open after the warm-up
 * @param {any} after what is open at the end
 * @param {any[]} troubles
 * @returns {boolean} all is well
 */
function printTable(tally, before, after, troubles) {
  const sum = (key) => troubles.reduce((total, trouble) => total + trouble[key], 0);
  const failures = troubles.flatMap((trouble) => trouble.failures);
  const row = (name, value) => console.log(`      ${name.padEnd(34)} ${String(value).padStart(12)}`);
  console.log('');
  row('connections', tally.connections);
  row('transfers', tally.transfers);
  row('  completed', tally.completed);
  for (const [code, count] of sorted(tally.codes)) row(`  ${code}`, count);
  row(
    'faults injected',
    Object.values(tally.faults).reduce((a, b) => a + b, 0),
  );
  for (const [fault, count] of sorted(tally.faults)) row(`  ${fault}`, count);
  row('  worker ended', sum('workers'));
  row('  descriptors run out', sum('storms'));
  row('numbers taken by another file', after.decoys);
  row('bytes compared', `${(tally.bytes / 1e9).toFixed(2)} GB`);
  row('memory, MB', `${mb(before.memory)} -> ${mb(after.memory)}`);
  row('RSS, MB', `${mb(before.rss)} -> ${mb(after.rss)}`);

  const checks = [
    ['mismatches', tally.wrong.length + sum('wrong'), 0],
    ['connections that hang', tally.hung, 0],
    ['transfers without an end', after.running, 0],
    ['transfers that outlive their socket', after.late, 0],
    ["callbacks in another's context", after.wrongContext, 0],
    ['failures of the run itself', failures.length, 0],
    ['descriptors left open', more(before.fds, after.fds).length, 0],
    ['threads left', after.threads - before.threads, 0],
    ['handles left', more(before.handles, after.handles).length, 0],
    ['memory left, MB', mb(after.memory) - mb(before.memory), MEMORY_MB],
    ['RSS left, MB', mb(after.rss) - mb(before.rss), RSS_MB],
    ['nothing was transferred', Number(tally.completed === 0), 0],
  ];
  let failed = 0;
  for (const [name, value, limit] of checks) {
    const ok = value <= limit;
    if (!ok) failed++;
    console.log(
      `${ok ? 'ok  ' : 'FAIL'}  ${String(name).padEnd(34)} ${String(value).padStart(12)}   <= ${limit}`,
    );
  }
  const left = [
    ...more(before.fds, after.fds),
    ...more(before.handles, after.handles),
    ...more({}, after.sockets).map((name) => `a connection by ${name}`),
  ];
  for (const name of left) console.log(`      left: ${name}`);
  for (const why of failures.slice(0, 20)) console.log(`      ${why}`);
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  return failed === 0;
}

/** What there is more of than before, each with its name. */
function more(before, after) {
  return Object.entries(after).flatMap(([name, count]) =>
    Array(Math.max(0, count - (before[name] ?? 0))).fill(name),
  );
}

const mb = (bytes) => Math.round(bytes / 1e6);
const sorted = (record) => Object.entries(record).sort(([, a], [, b]) => b - a);

module.exports = { printTable };
