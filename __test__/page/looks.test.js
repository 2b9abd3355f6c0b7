'use strict';

/** What each state looks like, in light, in the dark and on a phone. `npm run test:page -- --update` makes it anew. */

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
