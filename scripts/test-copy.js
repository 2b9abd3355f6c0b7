'use strict';

/**
 * `npm run test:copy [-- jest arguments]`: all tests again, with every transfer's bytes read and written instead of sent
 * by the kernel: once by the native side (`method: 'copy'`), once in JS (`RS_SENDFILE_DISABLE=1`). What is true of one
 * way alone is named, with the reason, as it is left out. The last line is `N passed, N failed`.
 */

const path = require('node:path');
const { ensure } = require('./ensure');
const { runJest } = require('./jest');

const LIMIT_MS = 10 * 60 * 1000;
const WAYS = [
  ["method: 'copy'", { RS_SENDFILE_TEST_METHOD: 'copy' }],
  ['RS_SENDFILE_DISABLE=1', { RS_SENDFILE_DISABLE: '1' }],
];

async function main(jestArgs) {
  ensure();
  const config = path.join(__dirname, '..', 'jest.copy.config.js');
  const all = { passed: 0, failed: 0 };
  for (const [name, env] of WAYS) {
    console.log(`\n== ${name}`);
    const { passed, failed } = await runJest({
      args: ['--config', config, ...jestArgs],
      limit: LIMIT_MS,
      env,
    });
    all.passed += passed;
    all.failed += failed;
  }
  process.exitCode = all.failed === 0 ? 0 : 1;
  console.log(`${all.passed} passed, ${all.failed} failed`);
}

main(process.argv.slice(2));
