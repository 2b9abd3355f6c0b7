'use strict';

/** `rs-sendfile/send`: whole files and ranges by their paths. The `send` package stands beside what was installed. */

const { once } = require('node:events');
const path = require('node:path');
const send = require('rs-sendfile/send');
const { httpServer, pattern, request, tmpFile } = require('../helpers');
const { assert, assertBytes, run, test, told } = require('../runtimes/harness');

const content = pattern(2 << 20, 12);
const file = tmpFile(content, 'file.bin');
const root = path.dirname(file);
const name = `/${path.basename(file)}`;

async function ask(options) {
  let finished;
  const { port, close } = await httpServer((req, res) => {
    finished = once(res, 'finish');
    send(req, req.url, { root }).pipe(res);
  });
  const answer = await request(port, { path: name, ...options });
  // A client has its bytes a moment before its server hears of it.
  await finished;
  await close();
  return answer;
}

/** The bytes that the kernel has sent so far. */
function bytesSent() {
  const sent = told.filter(({ method, code }) => method === 'sendfile' && code === undefined);
  return sent.reduce((sum, { bytes }) => sum + bytes, 0);
}

test('a whole file', async () => {
  const before = bytesSent();
  const { status, headers, body } = await ask();
  assert.deepStrictEqual([status, headers['content-length']], [200, String(content.length)]);
  assertBytes(body, content);
  assert.strictEqual(bytesSent() - before, content.length, JSON.stringify(told));
});

test('a range', async () => {
  const before = bytesSent();
  const { status, body } = await ask({ headers: { range: 'bytes=100-1000099' } });
  assert.strictEqual(status, 206);
  assertBytes(body, content.subarray(100, 1_000_100));
  assert.strictEqual(bytesSent() - before, 1_000_000, JSON.stringify(told));
});

test('a file that is not there', async () => {
  assert.strictEqual((await ask({ path: '/no-such-file' })).status, 404);
});

run();
