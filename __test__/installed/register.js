'use strict';

/** `rs-sendfile/register`: what a program pipes into a response is sent by the kernel. */

const { once } = require('node:events');
const fs = require('node:fs');
const { pipeline } = require('node:stream');
const { stats, unregister } = require('rs-sendfile/register');
const { httpServer, pattern, request, tmpFile, tmpPath, until } = require('../helpers');
const { assert, assertBytes, run, test, told } = require('../runtimes/harness');

const content = pattern(3 << 20, 9);
const file = tmpFile(content);
const GiB = 1024 ** 3;

async function ask(handler) {
  let finished;
  const { port, close } = await httpServer((req, res) => {
    finished = once(res, 'finish');
    handler(req, res);
  });
  const answer = await request(port);
  // A client has its bytes a moment before its server hears of it.
  await finished;
  await close();
  return answer;
}

for (const [how, send] of Object.entries({
  pipe: (stream, res) => stream.pipe(res),
  'stream.pipeline': (stream, res) => pipeline(stream, res, () => {}),
})) {
  test(`by ${how}`, async () => {
    const before = stats();
    const first = told.length;
    const { body } = await ask((_req, res) => send(fs.createReadStream(file), res));
    assertBytes(body, content);
    await until(() => stats().completed > before.completed, 'the end of the stream', 5000);
    const { taken, completed, bytes } = stats();
    assert.deepStrictEqual(
      [taken - before.taken, completed - before.completed, bytes - before.bytes],
      [1, 1, content.length],
    );
    // The pieces of one stream: the smallest may be read and written at once.
    const sent = told.slice(first).filter(({ method }) => method === 'sendfile');
    assert.ok(sent.length > 0);
  });
}

test('a range past 4 GiB', async () => {
  const huge = tmpPath();
  const fd = fs.openSync(huge, 'w');
  fs.writeSync(fd, content, 0, content.length, 5 * GiB);
  fs.closeSync(fd);
  const { taken } = stats();
  const range = { start: 5 * GiB + 7, end: 5 * GiB + 2_000_006 };
  const { body } = await ask((_req, res) => fs.createReadStream(huge, range).pipe(res));
  assertBytes(body, content.subarray(7, 2_000_007));
  assert.strictEqual(stats().taken, taken + 1);
});

test('what somebody else looks at is left to Node, and counted with its reason', async () => {
  const { left } = stats();
  const { body } = await ask((_req, res) => {
    const stream = fs.createReadStream(file);
    stream.on('data', () => {});
    stream.pipe(res);
  });
  assertBytes(body, content);
  assert.strictEqual(stats().left['data listener'], (left['data listener'] ?? 0) + 1);
});

test('taken back, it takes no more', async () => {
  unregister();
  const { taken } = stats();
  const { body } = await ask((_req, res) => fs.createReadStream(file).pipe(res));
  assertBytes(body, content);
  assert.strictEqual(stats().taken, taken);
});

run();
