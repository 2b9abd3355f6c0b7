'use strict';

const fs = require('node:fs');

/**
 * Adds up the `test result:` lines of cargo test: one for each test binary, one for the examples in the docs.
 * @returns {{ passed: number, failed: number } | null} null if there is none: it did not compile
 */
function cargoTotals(output) {
  const lines = [...output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed;/gm)];
  if (lines.length === 0) return null;
  const sum = (group) => lines.reduce((total, line) => total + Number(line[group]), 0);
  return { passed: sum(1), failed: sum(2) };
}

/**
 * Reads jest's --json report. A file that could not be run at all counts as one failed test.
 * @returns {{ passed: number, failed: number } | null} null if jest did not write it, or not to its end
 */
function jestTotals(file) {
  try {
    const report = JSON.parse(fs.readFileSync(file, 'utf8'));
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    };
  } catch {
    return null;
  }
}

/** @param {{ passed: number, failed: number }} row */
function counts({ passed, failed }) {
  return `${passed} passed, ${failed} failed`;
}

/**
 * Tells of each run, and of all together in the last line; the process fails if one of them has.
 * @param {{ passed: number, failed: number }[]} rows
 * @param {(row: any) => string} show a run, behind the mark that says how it went
 */
function summarize(rows, show) {
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log('\n== summary');
  for (const row of rows) console.log(`${row.failed === 0 ? 'ok  ' : 'FAIL'}  ${show(row)}`);
  const all = { passed: sum('passed'), failed: sum('failed') };
  process.exitCode = all.failed === 0 ? 0 : 1;
  console.log(counts(all));
}

module.exports = { cargoTotals, counts, jestTotals, summarize };
