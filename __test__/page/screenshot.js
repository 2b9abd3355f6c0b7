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
const PIXELS = 20;

/** Fails unless the page looks as `screenshots/name.png` does. `npm run test:page -- --update` makes that file. */
async function expectLook(page, name) {
  await page.evaluate(() => document.fonts.ready);
  const png = await page.screenshot({ fullPage: true, animations: 'disabled', caret: 'hide' });
  const reference = path.join(REFERENCES, `${name}.png`);
  if (UPDATE) return fs.writeFileSync(reference, png);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-look-'));
  const [actual, difference] = ['actual', 'difference'].map((kind) =>
    path.join(folder, `${name}.${kind}.png`),
  );
  fs.writeFileSync(actual, png);
  if (!fs.existsSync(reference))
    throw new Error(`there is no ${name}.png yet; --update makes it of ${actual}`);
  const said = execFileSync(process.execPath, [COMPARE, reference, actual, difference]).toString().trim();
  // Also what is no number.
  if (!(Number(said) <= PIXELS)) {
    const what = Number.isNaN(Number(said)) ? said : `${said} pixels differ`;
    throw new Error(`${name} looks different (${what}): see ${difference}, and ${actual} as it is now`);
  }
  fs.rmSync(folder, { recursive: true });
}

module.exports = { expectLook };
