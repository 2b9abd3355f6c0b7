'use strict';

/** A thousand transfers at once: the page shows the newest, says how many more there are, and stays small. */

const fs = require('node:fs');
const path = require('node:path');
const { tmpPath } = require('../helpers');
const { live, open, serve, total } = require('./browser');
const { Download } = require('./downloads');

const root = tmpPath('root');

beforeAll(() => {
  fs.mkdirSync(root);
  fs.closeSync(fs.openSync(path.join(root, 'big.bin'), 'w'));
  fs.truncateSync(path.join(root, 'big.bin'), 1 << 30);
});

test('1,000 downloads that stand still, and their end', async () => {
  const server = await serve(root);
  const page = await open(server.url);
  await live(page);
  const downloads = Array.from({ length: 1000 }, () => new Download(server.port, '/big.bin'));
  await total(page, 'running', '1,000');
  await page.getByText('and 950 more, which began earlier').waitFor();
  expect(await page.locator('#running li').count()).toBe(50);

  // One more is the newest, and the oldest that was shown makes room.
  const ids = () =>
    page.locator('#running li').evaluateAll((all) => all.map(({ dataset }) => Number(dataset.id)));
  expect(await ids()).toEqual(Array.from({ length: 50 }, (_, i) => 1000 - i));
  downloads.push(new Download(server.port, '/big.bin'));
  await page.getByText('and 951 more, which began earlier').waitFor();
  expect(await ids()).toEqual(Array.from({ length: 50 }, (_, i) => 1001 - i));

  for (const download of downloads) download.leave();
  await total(page, 'running', /^0$/);
  await total(page, 'early', '1,001 clients left');
  expect(await page.locator('#running').isHidden()).toBe(true);
  expect(await page.locator('#over li').count()).toBe(100);
  await page.getByText('and 901 more, which ended earlier').waitFor();
  expect(page.problems).toEqual([]);
});

test('thousands of small files a second leave a hundred rows', async () => {
  fs.writeFileSync(path.join(root, 'small.txt'), 'small');
  const server = await serve(root);
  const page = await open(server.url);
  await live(page);
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, () => new Download(server.port, '/small.txt').take()));
  }
  await total(page, 'transfers', '1,000');
  await total(page, 'running', /^0$/);
  await page.getByText('and 900 more, which ended earlier').waitFor();
  expect(await page.locator('#over li').count()).toBe(100);
  expect(page.problems).toEqual([]);
});
