'use strict';

/**
 * `npm run test:page [-- --update] [-- jest arguments]`: the status page in a headless Chromium, which is installed if
 * it is missing. `--update` makes the screenshots that it is compared with anew. The last line is `N passed, N failed`;
 * without a browser it is 1 failed.
 */

const path = require('node:path');
const { ensure } = require('./ensure');
const { ensureChromium } = require('./ensure-chromium');
const { runJest } = require('./jest');

const LIMIT_MS = 10 * 60 * 1000;

async function main(args) {
  ensure();
  let totals = { passed: 0, failed: 1 };
  try {
    const [major] = process.versions.node.split('.').map(Number);
    if (major < 20) throw new Error(`playwright-core wants Node 20, this is ${process.versions.node}`);
    const CHROMIUM = ensureChromium();
    const update = args.includes('--update') ? { RS_SENDFILE_UPDATE_SCREENSHOTS: '1' } : {};
    const config = path.join(__dirname, '..', 'jest.page.config.js');
    totals = await runJest({
      args: ['--config', config, ...args.filter((arg) => arg !== '--update')],
      limit: LIMIT_MS,
      env: { CHROMIUM, ...update },
    });
  } catch (error) {
    console.error(`rs-sendfile: no browser to look at the page with: ${error.message}`);
  }
  process.exitCode = totals.failed === 0 ? 0 : 1;
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
}

main(process.argv.slice(2));
