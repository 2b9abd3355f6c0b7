'use strict';

/**
 * `node scripts/suite.js NAME [jest arguments]`: the tests of `jest.NAME.config.js`, which are too long, or need too much,
 * to run on every Node: `npm run test:heavy`, `test:examples`, `test:middleware`. The last line is `N passed, N failed`.
 */

const path = require('node:path');
const { ensure } = require('./ensure');
const { runJest } = require('./jest');

const LIMIT_MS = 20 * 60 * 1000;

async function main([name, ...jestArgs]) {
  ensure();
  const config = path.join(__dirname, '..', `jest.${name}.config.js`);
  const { passed, failed } = await runJest({ args: ['--config', config, ...jestArgs], limit: LIMIT_MS });
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed`);
}

main(process.argv.slice(2));
