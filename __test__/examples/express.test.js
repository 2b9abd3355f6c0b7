'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { pattern } = require('../helpers');
const { expectBytes } = require('../streams');
const { get, makeSite, startExample } = require('./example');
const { endsCleanly, webTests } = require('./web');

const current = webTests('express', {
  routes: ['/', '/transfer/', '/download/'],
  ranged: ['/', '/download/'],
});

test('/download/ tells the browser to save', async () => {
  const { headers } = await get(current().example.port, '/download/sub/inner.txt');
  expect(headers['content-disposition']).toMatch(/^attachment; filename="?inner\.txt"?$/);
});

test('a state that the client has is not sent again', async () => {
  const { port } = current().example;
  const { headers } = await get(port, '/README.md');
  const { status, body } = await get(port, '/README.md', { 'If-None-Match': headers.etag });
  expect([status, body.length]).toEqual([304, 0]);
});

test('a file stands in for the video that the directory has not; it can be seeked in', async () => {
  const { port } = current().example;
  const whole = await get(port, '/video');
  expect([whole.status, whole.headers['content-type'], whole.body.length]).toEqual([
    200,
    'video/mp4',
    8 << 20,
  ]);
  const part = await get(port, '/video', { Range: 'bytes=5000000-7999999' });
  expect(part.status).toBe(206);
  expectBytes(part.body, whole.body.subarray(5_000_000, 8_000_000));
  const end = await get(port, '/video', { Range: `bytes=${8 << 20}-` });
  expect(end.status).toBe(416);
});

endsCleanly(current, { registered: true });

describe('a directory with a video', () => {
  test('is served from', async () => {
    const { directory } = makeSite();
    const video = pattern(100_000, 83);
    fs.writeFileSync(path.join(directory, 'film.webm'), video);
    const example = await startExample('express', [directory]);
    const { headers, body } = await get(example.port, '/video');
    expect(headers['content-type']).toBe('video/webm');
    expectBytes(body, video);
    expect(await example.stop('SIGINT')).toEqual({ code: 0, signal: null });
  });
});
