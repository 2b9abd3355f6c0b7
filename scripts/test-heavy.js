'use strict';

/**
 * `npm run test:heavy [-- jest arguments]`: the tests of `__test__/heavy`, which are too long to run on every Node. The
 * last line is `N passed, N failed`.
 */

const path = require('node:path');
const { ensure } = require('./ensure');
const { runJest } = require('./jest');

const LIMIT_MS = 20 * 60 * 1000;

async function main(jestArgs) {
  ensure();
  const config = path.join(__dirname, '..', 'jest.heavy.config.js');
  const { passed, failed } = await runJest({ args: ['--config', config, ...jestArgs], limit: LIMIT_MS });
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed`);
}

main(process.argv.slice(2));
