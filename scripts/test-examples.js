'use strict';

/**
 * `npm run test:examples [-- jest arguments]`: each example, started as a user starts it. The last line is
 * `N passed, N failed`.
 */

const path = require('node:path');
const { ensure } = require('./ensure');
const { runJest } = require('./jest');

const LIMIT_MS = 20 * 60 * 1000;

async function main(jestArgs) {
  ensure();
  const config = path.join(__dirname, '..', 'jest.examples.config.js');
  const { passed, failed } = await runJest({ args: ['--config', config, ...jestArgs], limit: LIMIT_MS });
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed`);
}

main(process.argv.slice(2));
