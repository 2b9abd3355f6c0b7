'use strict';

/**
 * One contract for every stream: a table of kinds of streams and of what a transfer does on each, whether by the
 * kernel or through the stream's own write.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { Writable } = require('node:stream');
const { transfer } = require('..');
const { pattern, readAll, tmpFile, tmpPath, until } = require('./helpers');
const { kinds } = require('./kinds');
const { closeAll, expectBytes, failure, keep, openFile } = require('./streams');

afterEach(() => {
  jest.restoreAllMocks();
  closeAll();
});

const SIZE = 16 << 20;
const content = pattern(SIZE, 81);
const file = tmpFile(content);
const PART = 2 << 20;
const turn = () => new Promise(setImmediate);

const isGone = (near) => (near.stream ?? near).destroyed;

/** What the file has been read for by JS so far. */
function watchReads() {
  const read = jest.spyOn(fs, 'read');
  return () => read.mock.calls.length * 64 * 1024;
}

describe.each(Object.entries(kinds))('%s', (_kind, open) => {
  test('gets the bytes, and tells of progress', async () => {
    const { near, far } = await open();
    const received = readAll(far);
    const heard = [];
    near.write('<');
    const sent = await transfer(near, file, {
      offset: 3,
      length: PART,
      headers: 'h',
      trailers: 't',
      onProgress: (bytes) => heard.push(bytes),
    });
    near.end('>');
    expect(sent).toBe(PART + 2);
    expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
    expect(heard.at(-1)).toBe(sent);
    const wanted = ['<h', content.subarray(3, PART + 3), 't>'].map((part) => Buffer.from(part));
    expectBytes(await received, Buffer.concat(wanted));
  });

  test('is read for no further than it takes', async () => {
    const { near } = await open();
    const reads = watchReads();
    const sending = failure(transfer(near, openFile(file)));
    let before = -1;
    let quiet = 0;
    // Nobody reads: it comes to rest.
    await until(() => {
      quiet = reads() === before ? quiet + 1 : 0;
      before = reads();
      return quiet > 500;
    }, 'rest');
    expect(reads()).toBeLessThan(SIZE / 2);
    near.destroy();
    const { bytesSent } = await sending;
    // What is out, one chunk that is being written, and the next one.
    expect(reads() - bytesSent).toBeLessThanOrEqual(3 * 64 * 1024 + (near.writableHighWaterMark ?? 0));
  });

  test('aborted before its turn stays usable', async () => {
    const { near, far } = await open();
    const received = readAll(far);
    const controller = new AbortController();
    const error = await failure(transfer(near, file, { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    const sending = failure(transfer(near, file, { signal: controller.signal }));
    controller.abort();
    expect(await sending).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    expect(await transfer(near, file, { length: 5 })).toBe(5);
    near.end();
    expectBytes(await received, content.subarray(0, 5));
  });

  test('aborted in the middle is destroyed, and has got the beginning', async () => {
    const { near, far } = await open();
    const controller = new AbortController();
    const sending = failure(transfer(near, openFile(file), { signal: controller.signal }));
    await once(far, 'readable');
    controller.abort();
    const error = await sending;
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect(error.bytesSent).toBeLessThan(SIZE);
    expect(isGone(near)).toBe(true);
    const got = far.read() ?? Buffer.alloc(0);
    expectBytes(got, content.subarray(0, got.length));
  });

  test('aborted after its end is as it was', async () => {
    const { near, far } = await open();
    const received = readAll(far);
    const controller = new AbortController();
    await transfer(near, file, { length: 10, signal: controller.signal });
    controller.abort();
    near.end('after');
    expectBytes(await received, Buffer.concat([content.subarray(0, 10), Buffer.from('after')]));
  });

  test('of a file that becomes shorter is destroyed', async () => {
    const { near, far } = await open();
    const shrinking = tmpFile(content);
    const sending = failure(transfer(near, openFile(shrinking), { trailers: 'never' }));
    await once(far, 'readable');
    fs.truncateSync(shrinking, 8 << 20);
    far.resume();
    const error = await sending;
    expect(error).toMatchObject({ code: 'ERR_SENDFILE_TRUNCATED' });
    expect(error.bytesSent).toBeLessThanOrEqual(8 << 20);
    expect(isGone(near)).toBe(true);
    fs.truncateSync(shrinking, 0);
  });

  test('that is destroyed in the middle rejects all its transfers', async () => {
    const { near, far } = await open();
    const sending = [0, 1].map(() => failure(transfer(near, openFile(file))));
    await once(far, 'readable');
    near.destroy();
    for (const error of await Promise.all(sending)) {
      expect(error).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    }
  });

  test('ended takes no transfer', async () => {
    const { near, far } = await open();
    far.resume();
    near.end();
    expect(await failure(transfer(near, file))).toMatchObject({
      code: 'ERR_STREAM_WRITE_AFTER_END',
      bytesSent: 0,
    });
    expect(await failure(transfer(near, openFile(file)))).toMatchObject({ bytesSent: 0 });
  });

  test('destroyed takes no transfer', async () => {
    const { near } = await open();
    near.destroy();
    for (const source of [file, openFile(file)]) {
      expect(await failure(transfer(near, source))).toMatchObject({
        code: 'ERR_STREAM_PREMATURE_CLOSE',
        bytesSent: 0,
      });
    }
    await turn();
  });
});

test("a child's stdin gets the bytes, and its end is the transfer's", async () => {
  const child = keep(spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] }).stdin);
  expect(child.destroyed).toBe(false);
  const copier = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
  const received = readAll(copier.stdout);
  copier.stdin.write('<');
  expect(await transfer(copier.stdin, file, { length: PART })).toBe(PART);
  copier.stdin.end('>');
  expectBytes(await received, Buffer.concat([Buffer.from('<'), content.subarray(0, PART), Buffer.from('>')]));
  const leaver = spawn('head', ['-c', '10'], { stdio: ['pipe', 'ignore', 'inherit'] });
  expect(await failure(transfer(leaver.stdin, file))).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
});

test('a file stream gets the bytes by a path of its own', async () => {
  const to = tmpPath('to');
  const near = keep(fs.createWriteStream(to, { highWaterMark: 1000 }));
  const heard = [];
  expect(await transfer(near, file, { length: PART, onProgress: (bytes) => heard.push(bytes) })).toBe(PART);
  near.end();
  await once(near, 'close');
  expectBytes(fs.readFileSync(to), content.subarray(0, PART));
  expect(heard.at(-1)).toBe(PART);
});

test('a Writable that takes its time for each chunk, or several at once, gets all of them in order', async () => {
  for (const several of [false, true]) {
    const chunks = [];
    const take = (given, done) => {
      chunks.push(...given);
      setTimeout(done, 1);
    };
    const near = new Writable({
      write: (chunk, _encoding, done) => take([chunk], done),
      ...(several && {
        writev: (given, done) =>
          take(
            given.map(({ chunk }) => chunk),
            done,
          ),
      }),
    });
    near.cork();
    near.write('<');
    process.nextTick(() => near.uncork());
    expect(await transfer(near, file, { length: 500_000, headers: ['a', 'b'] })).toBe(500_002);
    near.end('>');
    await once(near, 'finish');
    expectBytes(
      Buffer.concat(chunks),
      Buffer.concat([Buffer.from('<ab'), content.subarray(0, 500_000), Buffer.from('>')]),
    );
  }
});
