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

module.exports = { cargoTotals, jestTotals };
