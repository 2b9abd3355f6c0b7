/** What a suite's runner has written down, and what of it differs from the control. */

const fs = require('node:fs');

/** @typedef {{ name: string, state: 'pass' | 'fail' | 'left', why: string }} Case */

/**
 * What reporter.js wrote.
 * @returns {Case[]}
 */
function readLines(file) {
  return numbered(lines(file));
}

/**
 * What mocha's `json` reporter wrote.
 * @returns {Case[]}
 */
function readMocha(file) {
  const { passes, failures, pending } = JSON.parse(fs.readFileSync(file, 'utf8'));
  const cases = (tests, state) =>
    tests.map(({ fullTitle, err }) => ({ name: fullTitle, state, why: String(err?.message ?? '') }));
  return numbered([...cases(passes, 'pass'), ...cases(failures, 'fail'), ...cases(pending, 'left')]);
}

/** Cases of one name are told apart by their order. */
function numbered(cases) {
  const times = new Map();
  return cases.map((each) => {
    const time = (times.get(each.name) ?? 0) + 1;
    times.set(each.name, time);
    return time === 1 ? each : { ...each, name: `${each.name} (${time})` };
  });
}

/**
 * The cases that do not end as in the control, a line for each. One that failed there may pass here.
 * @param {Case[]} control
 * @param {Case[]} cases
 * @returns {string[]}
 */
function differences(control, cases) {
  const before = new Map(control.map((each) => [each.name, each.state]));
  const now = new Set(cases.map(({ name }) => name));
  const missing = control.filter(({ name }) => !now.has(name)).map(({ name }) => `${name}: did not run`);
  const changed = cases
    .filter(({ name, state }) => state !== 'pass' && state !== before.get(name))
    .map(
      ({ name, state, why }) => `${name}: ${before.get(name) ?? 'not there'} -> ${state}${why && `: ${why}`}`,
    );
  return [...missing, ...changed];
}

/**
 * The sum of what register counted in all processes of a run.
 * @param {string} file what preload.js wrote
 */
function sumStats(file) {
  const sum = { taken: 0, completed: 0, failed: 0, bytes: 0, sent: 0, left: {} };
  if (!fs.existsSync(file)) return sum;
  for (const { taken, completed, failed, bytes, sent, left } of lines(file)) {
    sum.sent += sent;
    sum.taken += taken;
    sum.completed += completed;
    sum.failed += failed;
    sum.bytes += bytes;
    for (const [reason, count] of Object.entries(left)) sum.left[reason] = (sum.left[reason] ?? 0) + count;
  }
  return sum;
}

function lines(file) {
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/**
 * What is wrong with a run, a line for each; nothing if the suite passes.
 * @param {import('./run').Run} control the run without register
 * @param {import('./run').Run} run
 * @returns {string[]}
 */
function faults(control, { end, cases, stats }) {
  const faults = [];
  if (end.late) faults.push('it did not come to its end in time, and was ended');
  else if (end.code !== control.end.code || end.signal !== control.end.signal)
    faults.push(`${ending(end)}, without register ${ending(control.end)}`);
  if (stats.taken === 0) faults.push('nothing was taken: it has shown nothing');
  return [...faults, ...differences(control.cases, cases)];
}

const ending = ({ code, signal }) => (signal === null ? `exit code ${code}` : `ended by ${signal}`);

module.exports = { differences, faults, readLines, readMocha, sumStats };
