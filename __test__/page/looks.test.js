'use strict';

/** What each state looks like, in light, in the dark and on a phone. `npm run test:page -- --update` makes it anew. */

const fs = require('node:fs');
const path = require('node:path');
const { failure } = require('../helpers');
const { expectLook } = require('./screenshot');
const { lose, show } = require('./scripted');

const LOOKS = [
  ['light', { width: 1200, height: 720 }],
  ['dark', { width: 1200, height: 720, dark: true }],
  ['phone', { width: 390, height: 760 }],
];

describe.each(LOOKS)('%s', (name, look) => {
  test.each(['empty', 'running', 'finished', 'failed', 'copied'])('%s', async (state) => {
    const page = await show(state, look);
    await expectLook(page, `${state}-${name}`);
    expect(page.problems).toEqual([]);
  });

  test('lost connection', async () => {
    const page = await show('running', look);
    await lose(page);
    await expectLook(page, `lost-${name}`);
  });
});

describe('what is compared', () => {
  const [, light] = LOOKS[0];
  /** What is said of the difference, without what is kept of it. */
  async function differs(page, name) {
    const { message } = await failure(() => expectLook(page, name, { update: false }));
    fs.rmSync(path.dirname(/see (.*difference\.png)/.exec(message)[1]), { recursive: true });
    return expect(message);
  }

  test('one letter less is a difference', async () => {
    const page = await show('empty', light);
    await page.getByText('Errors').evaluate((term) => {
      term.textContent = 'Error';
    });
    (await differs(page, 'empty-light')).toMatch(/\(\d\d pixels differ\): see .*difference\.png/);
  });

  test('so is another color, and another height', async () => {
    const page = await show('running', light);
    await page.evaluate(() => document.documentElement.style.setProperty('--accent', '#1f6f86'));
    (await differs(page, 'running-light')).toMatch(/\(\d+ pixels differ\)/);
    await page.evaluate(() =>
      document.querySelector('#over li').after(document.querySelector('#over li').cloneNode(true)),
    );
    await page.setViewportSize({ width: 1200, height: 600 });
    (await differs(page, 'running-light')).toMatch(/\(1200x\d+ became 1200x\d+\)/);
  });
});

test('a thousand at once', async () => {
  const page = await show('many', LOOKS[0][1]);
  expect(await page.locator('#running li').count()).toBe(50);
  // The middle of it, where the running end and the finished begin.
  await page.evaluate(() => {
    for (const row of document.querySelectorAll('#running li:nth-child(n + 4), #over li:nth-child(n + 4)'))
      row.remove();
  });
  await expectLook(page, 'many-light');
});
