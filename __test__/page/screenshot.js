'use strict';

/** Compares what a page looks like with how it looked, and keeps the difference where it can be looked at. */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const REFERENCES = path.join(__dirname, 'screenshots');
const COMPARE = path.join(__dirname, 'compare.mjs');
const UPDATE = process.env.RS_SENDFILE_UPDATE_SCREENSHOTS === '1';
/** Less than one letter. */
const PIXELS = 10;

/**
 * Fails unless the page looks as `screenshots/name.png` does. `npm run test:page -- --update` makes that file anew if it
 * looks different.
 */
async function expectLook(page, name, { update = UPDATE } = {}) {
  await page.evaluate(() => document.fonts.ready);
  const png = await page.screenshot({ fullPage: true, animations: 'disabled', caret: 'hide' });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-look-'));
  const [actual, difference] = ['actual', 'difference'].map((kind) =>
    path.join(folder, `${name}.${kind}.png`),
  );
  fs.writeFileSync(actual, png);
  const reference = path.join(REFERENCES, `${name}.png`);
  const what = compare(reference, actual, difference);
  if (what !== null && !update) {
    throw new Error(`${name} looks different (${what}): see ${difference}, and ${actual} as it is now`);
  }
  if (what !== null) fs.copyFileSync(actual, reference);
  fs.rmSync(folder, { recursive: true });
}

/** What is different; null if nothing is that anybody would see. */
function compare(reference, actual, difference) {
  if (!fs.existsSync(reference)) {
    fs.copyFileSync(actual, difference);
    return `there is no ${path.basename(reference)} yet; --update makes it`;
  }
  const said = execFileSync(process.execPath, [COMPARE, reference, actual, difference]).toString().trim();
  // Two sizes are told in words.
  if (!/^\d+$/.test(said)) return said;
  return Number(said) <= PIXELS ? null : `${said} pixels differ`;
}

module.exports = { expectLook };
