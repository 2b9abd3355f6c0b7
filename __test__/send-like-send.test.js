'use strict';

/**
 * `rs-sendfile/send` answers as the `send` that it stands on does: the same head, the same bytes, the same events of the
 * program in the same order, and the same connection afterwards. With whichever version of `send` the project has.
 */

const fs = require('node:fs');
const path = require('node:path');
const { versions, root, small, large, expectSame, expectTaken } = require('./send-play');
const { expectBytes } = require('./streams');

const LENGTH = small.length;
const etag = (name) => {
  const { size, mtime } = fs.statSync(path.join(root, name));
  return `W/"${size.toString(16)}-${mtime.getTime().toString(16)}"`;
};
const SAME = etag('small.bin');
const THEN = 'Sun, 02 Feb 2020 02:02:02 GMT';
const BEFORE = 'Sun, 02 Feb 2019 02:02:02 GMT';

/** Requests whose answer has bytes of the file: name, request, status, and which bytes. */
const answered = {
  'a small file': [{}, 200, small],
  'a large file': [{ url: '/large.bin' }, 200, large],
  'one byte': [{ url: '/one.bin' }, 200, Buffer.from('x')],
  'a name in UTF-8': [{ url: encodeURI('/named like this é.txt') }, 200, Buffer.from('its name')],
  'from start on': [{ options: { start: 5 } }, 200, small.subarray(5)],
  'up to end': [{ options: { end: 9 } }, 200, small.subarray(0, 10)],
  'from start to end': [{ options: { start: 100, end: 19_999 } }, 200, small.subarray(100, 20_000)],
  'an end past the file': [{ options: { end: 1e9 } }, 200, small],
  'a range': [{ headers: ['Range: bytes=10-19'] }, 206, small.subarray(10, 20)],
  'a range of one byte': [{ headers: ['Range: bytes=0-0'] }, 206, small.subarray(0, 1)],
  'a range without an end': [{ headers: ['Range: bytes=100-'] }, 206, small.subarray(100)],
  'the last bytes': [{ headers: ['Range: bytes=-500'] }, 206, small.subarray(LENGTH - 500)],
  'a range that ends past the file': [
    { headers: [`Range: bytes=${LENGTH - 3}-${LENGTH + 9}`] },
    206,
    small.subarray(-3),
  ],
  'a range of a large file': [
    { url: '/large.bin', headers: ['Range: bytes=1000-4999999'] },
    206,
    large.subarray(1000, 5_000_000),
  ],
  'a range within start and end': [
    { options: { start: 100, end: 199 }, headers: ['Range: bytes=10-19'] },
    206,
    small.subarray(110, 120),
  ],
  'two ranges that touch': [{ headers: ['Range: bytes=0-9,10-19'] }, 206, small.subarray(0, 20)],
  'two ranges apart': [{ headers: ['Range: bytes=0-9,30-39'] }, 200, small],
  'a range that is none': [{ headers: ['Range: bytes 1-2'] }, 200, small],
  'a range of other units': [{ headers: ['Range: lines=1-2'] }, 200, small],
  'a range where none are taken': [
    { headers: ['Range: bytes=1-2'], options: { acceptRanges: false } },
    200,
    small,
  ],
  'If-Range that holds, by date': [
    { headers: ['Range: bytes=1-2', `If-Range: ${THEN}`] },
    206,
    small.subarray(1, 3),
  ],
  'If-Range that does not, by date': [{ headers: ['Range: bytes=1-2', `If-Range: ${BEFORE}`] }, 200, small],
  'If-Range that holds, by tag': [
    { headers: ['Range: bytes=1-2', `If-Range: ${SAME}`] },
    206,
    small.subarray(1, 3),
  ],
  'If-Range that does not, by tag': [{ headers: ['Range: bytes=1-2', 'If-Range: "x"'] }, 200, small],
  'If-None-Match of another': [{ headers: ['If-None-Match: "other"'] }, 200, small],
  'If-Match that holds': [{ headers: [`If-Match: ${SAME}`] }, 200, small],
  'If-Modified-Since before': [{ headers: [`If-Modified-Since: ${BEFORE}`] }, 200, small],
  'without headers of its own': [
    { options: { etag: false, lastModified: false, cacheControl: false, acceptRanges: false } },
    200,
    small,
  ],
  'to be kept for ever': [{ options: { maxAge: '1y', immutable: true } }, 200, small],
  'an ending that is tried': [
    { url: '/page', options: { extensions: ['htm', 'html'] } },
    200,
    Buffer.from('<p>page'),
  ],
  'the index of a directory': [{ url: '/sub/' }, 200, Buffer.from('<p>index')],
  'a hidden file, allowed': [{ url: '/.hidden', options: { dotfiles: 'allow' } }, 200, Buffer.from('hidden')],
  'a file below dots, allowed': [
    { url: '/sub/.dots/file.txt', options: { dotfiles: 'allow' } },
    200,
    Buffer.from('in dots'),
  ],
  'with Connection: close': [{ headers: ['Connection: close'] }, 200, small],
  'with other pieces of reading': [{ options: { highWaterMark: 100 } }, 200, small],
  'a status of the program': [{ prepare: (res) => (res.statusCode = 418) }, 418, small],
  'a type of the program': [{ prepare: (res) => res.setHeader('Content-Type', 'x/y') }, 200, small],
  'headers of a listener': [
    { listen: (sending) => sending.on('headers', (res) => res.setHeader('X-Mine', 'yes')) },
    200,
    small,
  ],
  'with strictContentLength': [{ prepare: (res) => (res.strictContentLength = true) }, 200, small],
  'chunked, since its length was taken away': [
    {
      url: '/large.bin',
      listen: (sending, res) => sending.on('stream', () => res.removeHeader('Content-Length')),
    },
    200,
    large,
  ],
};

/** Requests whose answer has none. */
const refused = {
  HEAD: [{ method: 'HEAD' }, 200],
  'HEAD of a range': [{ method: 'HEAD', headers: ['Range: bytes=10-19'] }, 206],
  'an empty file': [{ url: '/empty.bin' }, 200],
  'a range of an empty file': [{ url: '/empty.bin', headers: ['Range: bytes=0-0'] }, 416],
  'a start past the end': [{ options: { start: 1e6 } }, 200],
  'If-None-Match that holds': [{ headers: [`If-None-Match: ${SAME}`] }, 304],
  'If-Modified-Since that holds': [{ headers: [`If-Modified-Since: ${THEN}`] }, 304],
  'If-Match that does not hold': [{ headers: ['If-Match: "other"'] }, 412],
  'If-Unmodified-Since that does not hold': [{ headers: [`If-Unmodified-Since: ${BEFORE}`] }, 412],
  'a range past the end': [{ headers: ['Range: bytes=999999-'] }, 416],
  'a range past the end, and an error listener': [
    {
      headers: ['Range: bytes=999999-'],
      listen: (sending, res) =>
        sending.on('error', (error) => {
          res.statusCode = error.status;
          res.end();
        }),
    },
    416,
  ],
  'no such file': [{ url: '/none.bin' }, 404],
  'no such file, with an ending': [{ url: '/none', options: { extensions: ['html'] } }, 404],
  'a path through a file': [{ url: '/small.bin/none' }, 404],
  'a path out of the root': [{ url: '/../../etc/passwd' }, 403],
  'a path that does not decode': [{ url: '/%' }, 400],
  'a path with a null': [{ url: '/a%00b' }, 400],
  'a hidden file': [{ url: '/.hidden' }, 404],
  'a hidden file, denied': [{ url: '/.hidden', options: { dotfiles: 'deny' } }, 403],
  'a directory': [{ url: '/sub' }, 301],
  'a directory, and somebody listens': [
    { url: '/sub', listen: (sending) => sending.on('directory', (res) => res.end('a directory')) },
    200,
  ],
  'a directory without an index': [{ url: '/sub/', options: { index: false } }, 403],
};

describe.each(versions)('over %s', (_version, plain, ours) => {
  test.each(Object.entries(answered))('%s', async (_name, [exchange, status, bytes]) => {
    const result = await expectSame(plain, ours, exchange);
    expect(result.got.status).toBe(status);
    expect(result.seen).toContain('end');
    expectBytes(result.got.body, bytes);
    expectTaken(result);
  });

  test.each(Object.entries(refused))('%s', async (_name, [exchange, status]) => {
    const result = await expectSame(plain, ours, exchange);
    expect(result.got.status).toBe(status);
    expectTaken(result, false);
  });
});
