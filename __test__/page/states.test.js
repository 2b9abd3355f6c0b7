'use strict';

/** What the page shows of a real server: `npm start`, whose clients do as they please. */

const fs = require('node:fs');
const path = require('node:path');
const { tmpPath } = require('../helpers');
const { live, open, row, serve, text, total } = require('./browser');
const { Download } = require('./downloads');

const MiB = 1 << 20;
const root = tmpPath('root');
const HOSTILE = '<img src=x onerror=alert(1)>';

beforeAll(() => {
  fs.mkdirSync(root);
  fs.writeFileSync(path.join(root, 'small.txt'), 'small');
  fs.writeFileSync(path.join(root, 'empty.txt'), '');
  fs.writeFileSync(path.join(root, HOSTILE), 'hostile');
  for (const [name, size] of Object.entries({ 'big.bin': 1024 * MiB, 'cut.bin': 64 * MiB })) {
    fs.closeSync(fs.openSync(path.join(root, name), 'w'));
    fs.truncateSync(path.join(root, name), size);
  }
});

/** `npm start` and its page. */
async function start(options) {
  const server = await serve(root, options);
  const page = await open(server.url);
  await live(page);
  return { server, page };
}

/** How a bar stands: its value and its end. */
const barOf = (where) => where.locator('progress').evaluate(({ value, max }) => ({ value, max }));

test('a server that has sent nothing says so', async () => {
  const { page } = await start();
  await page.getByRole('heading', { name: 'No transfers yet' }).waitFor();
  expect(await page.locator('[data-total="transfers"]').textContent()).toBe('0');
  expect(await page.locator('#running, #over').evaluateAll((all) => all.map((one) => one.hidden))).toEqual([
    true,
    true,
  ]);
  expect(await page.title()).toBe('Transfers · rs-sendfile');
});

test('while 1 GiB is downloaded its bar moves, and at the end it is among the finished', async () => {
  const { server, page } = await start();
  const download = new Download(server.port, '/big.bin');
  const running = row(page, 'running', '/big.bin');
  await running.waitFor();
  let before = await barOf(running);
  expect(before.max).toBe(1024 * MiB);
  for (let look = 0; look < 3; look++) {
    await download.take(150 * MiB);
    await page.waitForFunction(
      (value) => document.querySelector('#running progress')?.value > value,
      before.value + 100 * MiB,
    );
    const after = await barOf(running);
    expect(after.value).toBeGreaterThan(before.value);
    expect(after.value).toBeLessThan(after.max);
    before = after;
  }
  expect(await text(running, 'amount')).toMatch(/^\d+(\.\d)? MB of 1\.1 GB · \d+ %$/);
  expect(await text(running, 'method')).toBe('sendfile');
  expect(await text(running, 'speed')).toMatch(/ MB\/s$/);
  expect(await text(running, 'waits')).toMatch(/^[\d,]+$/);
  expect(await text(running, 'client')).toBe(`127.0.0.1:${download.socket.localPort}`);
  expect(await text(running, 'state')).toBe('Running');
  await total(page, 'running', '1');

  await download.take();
  const over = row(page, 'over', '/big.bin');
  await over.waitFor();
  expect(await running.count()).toBe(0);
  expect(await barOf(over)).toEqual({ value: 1024 * MiB, max: 1024 * MiB });
  expect(await text(over, 'state')).toBe('Done');
  expect(await text(over, 'amount')).toBe('1.1 GB of 1.1 GB');
  await total(page, 'bytes', '1.1 GB');
  await total(page, 'running', '0');
  expect(page.problems).toEqual([]);
});

test('the time of one that stands still goes on', async () => {
  const { server, page } = await start();
  const download = new Download(server.port, '/big.bin');
  const running = row(page, 'running', '/big.bin');
  await running.waitFor();
  const place = running.locator('[data-is="time"]');
  await place.filter({ hasText: /^1\.\d s$/ }).waitFor();
  await place.filter({ hasText: /^2\.\d s$/ }).waitFor();
  expect(download.taken).toBe(0);
});

test('finished: also what is small, empty, or a part', async () => {
  const { server, page } = await start();
  await new Download(server.port, '/small.txt').take();
  await new Download(server.port, '/empty.txt').take();
  const empty = row(page, 'over', '/empty.txt');
  await empty.waitFor();
  expect(await text(empty, 'amount')).toBe('0 B of 0 B');
  expect(await barOf(empty)).toEqual({ value: 1, max: 1 });
  const small = row(page, 'over', '/small.txt');
  expect(await text(small, 'amount')).toBe('5 B of 5 B');
  // The newest first.
  expect(await page.locator('#over h3').allTextContents()).toEqual(['/empty.txt', '/small.txt']);
  await fetch(`http://127.0.0.1:${server.port}/small.txt`, { headers: { Range: 'bytes=1-3' } });
  await page.locator('#over li', { hasText: '3 B of 3 B' }).waitFor();
});

test('failed: the client left', async () => {
  const { server, page } = await start();
  const download = new Download(server.port, '/big.bin');
  await download.take(MiB);
  await row(page, 'running', '/big.bin').waitFor();
  download.leave();
  const over = row(page, 'over', '/big.bin');
  await over.waitFor();
  expect(await text(over, 'state')).toBe('Client left');
  const { value, max } = await barOf(over);
  expect(max).toBe(1024 * MiB);
  expect(value).toBeGreaterThan(MiB);
  expect(value).toBeLessThan(max);
  await total(page, 'early', '1 client left');
  // It is no error of the server's.
  expect(await page.locator('[data-total="errors"]').textContent()).toBe('0');
});

test('failed: with the code of its error', async () => {
  const { server, page } = await start();
  const download = new Download(server.port, '/cut.bin');
  await download.take(MiB);
  await row(page, 'running', '/cut.bin').waitFor();
  fs.truncateSync(path.join(root, 'cut.bin'), MiB);
  await download.take();
  const over = row(page, 'over', '/cut.bin');
  await over.waitFor();
  expect(await text(over, 'state')).toBe('ERR_SENDFILE_TRUNCATED');
  await total(page, 'errors', '1');
});

test('copied, with the reason', async () => {
  const { server, page } = await start({ env: { RS_SENDFILE_DISABLE: '1' } });
  const download = new Download(server.port, '/big.bin');
  const running = row(page, 'running', '/big.bin');
  await running.waitFor();
  // Known while it runs, as well as afterwards.
  await running.locator('[data-is="reason"]', { hasText: 'RS_SENDFILE_DISABLE' }).waitFor();
  expect(await text(running, 'method')).toBe('copy');
  download.leave();
  const over = row(page, 'over', '/big.bin');
  await over.waitFor();
  expect([await text(over, 'method'), await text(over, 'reason')]).toEqual(['copy', 'RS_SENDFILE_DISABLE']);
});

test('a lost connection is said, and the page finds the server again', async () => {
  const { server, page } = await start();
  await new Download(server.port, '/small.txt').take();
  await row(page, 'over', '/small.txt').waitFor();
  await server.stop();
  await page.getByRole('status').filter({ hasText: 'Connection lost' }).waitFor();
  await page.getByText('The server does not answer').waitFor();
  // What was told last is still there.
  expect(await page.locator('#over li').count()).toBe(1);

  await serve(root, { port: server.port });
  await live(page);
  expect(await page.locator('#lost').isHidden()).toBe(true);
  // It is another server, which has sent nothing.
  await page.getByRole('heading', { name: 'No transfers yet' }).waitFor();
  expect(await page.locator('#over li').count()).toBe(0);
});

test('a server that falls silent is lost as well, and found when it speaks again', async () => {
  const server = await serve(root);
  const page = await open(server.url, { still: true });
  await live(page);
  server.child.kill('SIGSTOP');
  await page.clock.fastForward(24_000);
  expect(await page.locator('#connection').textContent()).toBe('Live');
  await page.clock.fastForward(2000);
  await page.getByRole('status').filter({ hasText: 'Connection lost' }).waitFor();
  server.child.kill('SIGCONT');
  await live(page);
});

test("a stranger's path is text, never HTML", async () => {
  const { server, page } = await start();
  await new Download(server.port, `/${encodeURIComponent(HOSTILE)}`).take();
  const over = row(page, 'over', `/${HOSTILE}`);
  await over.waitFor();
  expect(await text(over, 'path')).toBe(`/${HOSTILE}`);
  expect(await over.locator('progress').getAttribute('aria-label')).toBe(`Sent of /${HOSTILE}`);
  // As it stands in the request, too.
  await new Download(server.port, `/${HOSTILE.replaceAll(' ', '%20')}`).take();
  await page.locator('#over li').nth(1).waitFor();
  expect(await page.locator('img, [onerror]').count()).toBe(0);
  expect(page.problems).toEqual([]);
});

test('nothing is fetched from any other address', async () => {
  const { server, page } = await start();
  await new Download(server.port, '/small.txt').take();
  await row(page, 'over', '/small.txt').waitFor();
  const origin = `http://127.0.0.1:${server.port}`;
  expect(page.requests.length).toBeGreaterThanOrEqual(4);
  expect(page.requests.filter((url) => !url.startsWith(`${origin}/__sendfile`))).toEqual([]);
  expect(page.problems).toEqual([]);
});
