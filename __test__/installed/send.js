'use strict';

/** `rs-sendfile/send`: whole files and ranges by their paths. The `send` package stands beside what was installed. */

const path = require('node:path');
const send = require('rs-sendfile/send');
const { httpServer, pattern, request, tmpFile, until } = require('../helpers');
const { assert, assertBytes, run, test, told } = require('../runtimes/harness');

const content = pattern(2 << 20, 12);
const file = tmpFile(content, 'file.bin');
const root = path.dirname(file);
const name = `/${path.basename(file)}`;

async function ask(options) {
  const { port, close } = await httpServer((req, res) => send(req, req.url, { root }).pipe(res));
  try {
    return await request(port, { path: name, ...options });
  } finally {
    await close();
  }
}

/** The kernel has sent one more: a client has its bytes a moment before its server hears of it. */
const isSent = (before) => until(() => bySendfile() > before, 'a transfer by sendfile', 5000);
const bySendfile = () => told.filter(({ method }) => method === 'sendfile').length;

test('a whole file', async () => {
  const before = bySendfile();
  const { status, headers, body } = await ask();
  assert.deepStrictEqual([status, headers['content-length']], [200, String(content.length)]);
  assertBytes(body, content);
  await isSent(before);
});

test('a range', async () => {
  const before = bySendfile();
  const { status, body } = await ask({ headers: { range: 'bytes=100-1000099' } });
  assert.strictEqual(status, 206);
  assertBytes(body, content.subarray(100, 1_000_100));
  await isSent(before);
});

test('a file that is not there', async () => {
  assert.strictEqual((await ask({ path: '/no-such-file' })).status, 404);
});

run();
