'use strict';

/** Waiting until an fd takes bytes. */

const { once } = require('node:events');
const fs = require('node:fs');
const { sendfileSync, waitWritable } = require('..');
const { failure, openFds, openFifo, runInChild, takeNow, tmpFile, tmpPath, until } = require('./helpers');
const { atEnd, closeAll, open, pair } = require('./raw');

const onLinux = process.platform === 'linux' ? describe : describe.skip;
const LIMIT = { timeout: 20_000 };

afterEach(closeAll);

/** Fills a socket until EAGAIN; how many bytes it took. */
async function fill({ out }, input) {
  let sent = 0;
  const error = await failure(() => {
    for (;;) sent += sendfileSync(out, input, 0, null);
  });
  expect(error.code).toBe('EAGAIN');
  return sent;
}

async function fullPair(options) {
  const sockets = await pair(options);
  const input = open(tmpFile(1_000_000), 'r');
  return { ...sockets, input, held: await fill(sockets, input) };
}

/** Reads what waits at the peer; how many bytes it was. */
function drain(peer) {
  let sum = 0;
  for (let chunk = takeNow(peer); chunk !== null && chunk.length > 0; chunk = takeNow(peer))
    sum += chunk.length;
  return sum;
}

/** Is it still pending after the event loop has turned a few times? */
async function isPending(promise) {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  return !settled;
}

describe('it resolves', () => {
  test.each([
    ['TCP', {}],
    ['a unix socket', { unix: true }],
  ])('%s: at once while there is room', async (_what, options) => {
    const { out } = await pair(options);
    expect(await waitWritable(out, LIMIT)).toBe(undefined);
  });

  test.each([
    ['TCP', {}],
    ['a unix socket', { unix: true }],
  ])('%s: when a full one has been read from, and not before', async (_what, options) => {
    const { out, peer, input } = await fullPair(options);
    const wait = waitWritable(out, LIMIT);
    expect(await isPending(wait)).toBe(true);
    // TCP tells of the room by packets: read until it has.
    let over = false;
    wait.finally(() => (over = true));
    await until(() => {
      drain(peer);
      return over;
    }, 'room');
    await wait;
    expect(sendfileSync(out, input, 0, 1000)).toBe(1000);
  });

  test('a full pipe: when it has been read from', async () => {
    const { path, fd } = openFifo();
    atEnd(() => fs.closeSync(fd));
    const out = open(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    await fill({ out }, open(tmpFile(1_000_000), 'r'));
    const wait = waitWritable(out, LIMIT);
    expect(await isPending(wait)).toBe(true);
    drain(fd);
    await wait;
  });

  test('a regular file, a directory and /dev/null: at once', async () => {
    await waitWritable(open(tmpPath(), 'w'), LIMIT);
    await waitWritable(open(tmpFile(10), 'r'), LIMIT);
    await waitWritable(open('/tmp', 'r'), LIMIT);
    await waitWritable(open('/dev/null', 'w'), LIMIT);
  });

  test('when the peer closes meanwhile; the next call tells the error', async () => {
    const { out, far, input } = await fullPair();
    const wait = waitWritable(out, LIMIT);
    expect(await isPending(wait)).toBe(true);
    far.destroy();
    await wait;
    expect((await failure(() => sendfileSync(out, input, 0, 10))).code).toBe('EPIPE');
  });

  test('when the peer resets meanwhile; the next call tells the error', async () => {
    const { out, far, input } = await fullPair({});
    const wait = waitWritable(out, LIMIT);
    far.resetAndDestroy();
    await wait;
    expect(['ECONNRESET', 'EPIPE']).toContain((await failure(() => sendfileSync(out, input, 0, 10))).code);
  });

  test('again and again on one fd', async () => {
    const { out, peer, input } = await fullPair();
    for (let round = 0; round < 100; round++) {
      const wait = waitWritable(out, LIMIT);
      drain(peer);
      await wait;
      await fill({ out }, input);
    }
  });

  test('every one of many waits, on one fd and on many', async () => {
    const full = [];
    for (let i = 0; i < 20; i++) full.push(await fullPair());
    const waits = full.flatMap(({ out }) => Array.from({ length: 20 }, () => waitWritable(out, LIMIT)));
    expect(await isPending(Promise.race(waits))).toBe(true);
    for (const { peer } of full) drain(peer);
    expect((await Promise.all(waits)).length).toBe(400);
  });

  test('for the socket that the fd was, whatever becomes of the number', async () => {
    const { out, near, peer, held } = await fullPair();
    const wait = waitWritable(out, LIMIT);
    near.destroy();
    await once(near, 'close');
    // Taken by a file, at which nobody ever waits.
    open(tmpFile(10), 'r+');
    expect(await isPending(wait)).toBe(true);
    expect(drain(peer)).toBe(held);
    await wait;
  });
});

describe('it rejects', () => {
  test('EBADF for a closed and for a negative fd', async () => {
    const closed = fs.openSync('/dev/null', 'w');
    fs.closeSync(closed);
    for (const fd of [closed, -1, 1_000_000]) {
      const error = await failure(() => waitWritable(fd));
      expect([error.code, error.errno, error.syscall]).toEqual(['EBADF', -9, 'poll']);
      expect(error.message).toBe('EBADF: bad file descriptor, poll');
    }
  });

  test('a bad argument, always as a rejection', async () => {
    const { out } = await pair();
    const cases = [
      [['1'], 'ERR_INVALID_ARG_TYPE'],
      [[], 'ERR_INVALID_ARG_TYPE'],
      [[1.5], 'ERR_OUT_OF_RANGE'],
      [[NaN], 'ERR_OUT_OF_RANGE'],
      [[2 ** 31], 'ERR_OUT_OF_RANGE'],
      [[out, null], 'ERR_INVALID_ARG_TYPE'],
      [[out, 5], 'ERR_INVALID_ARG_TYPE'],
      [[out, { signal: null }], 'ERR_INVALID_ARG_TYPE'],
      [[out, { signal: 'stop' }], 'ERR_INVALID_ARG_TYPE'],
      [[out, { timeout: '5' }], 'ERR_INVALID_ARG_TYPE'],
      [[out, { timeout: null }], 'ERR_INVALID_ARG_TYPE'],
      [[out, { timeout: -1 }], 'ERR_OUT_OF_RANGE'],
      [[out, { timeout: NaN }], 'ERR_OUT_OF_RANGE'],
      [[out, { timeout: Infinity }], 'ERR_OUT_OF_RANGE'],
    ];
    for (const [given, code] of cases) {
      const promise = waitWritable(...given);
      expect((await failure(() => promise)).code).toBe(code);
    }
  });

  test('with an AbortError when the signal is aborted before', async () => {
    const { out } = await pair();
    const error = await failure(() => waitWritable(out, { signal: AbortSignal.abort('enough') }));
    expect([error.name, error.code, error.cause]).toEqual(['AbortError', 'ABORT_ERR', 'enough']);
    expect(error.message).toBe('The operation was aborted');
  });

  test('with an AbortError when it is aborted meanwhile', async () => {
    const { out } = await fullPair();
    const controller = new AbortController();
    const wait = waitWritable(out, { signal: controller.signal, ...LIMIT });
    expect(await isPending(wait)).toBe(true);
    controller.abort();
    const error = await failure(() => wait);
    expect([error.name, error.code]).toEqual(['AbortError', 'ABORT_ERR']);
    expect(error.cause).toBe(controller.signal.reason);
  });

  test('with ERR_SENDFILE_TIMEOUT when the time is over', async () => {
    const { out } = await fullPair();
    const start = performance.now();
    const error = await failure(() => waitWritable(out, { timeout: 30 }));
    expect(error.code).toBe('ERR_SENDFILE_TIMEOUT');
    expect(performance.now() - start).toBeGreaterThan(25);
    expect(error.message).toContain('30 ms');
  });

  test('only once: what comes later changes nothing', async () => {
    const { out, peer } = await fullPair();
    const controller = new AbortController();
    const aborted = waitWritable(out, { signal: controller.signal, timeout: 20 });
    controller.abort();
    drain(peer);
    expect((await failure(() => aborted)).code).toBe('ABORT_ERR');
    await waitWritable(out, LIMIT);
  });
});

onLinux('it leaves nothing behind', () => {
  test('no descriptor, no listener and no timer, however it ends', async () => {
    const { out, peer, input } = await fullPair();
    const before = openFds();
    const controllers = [];
    const waits = [];
    const { signal } = new AbortController();
    for (let round = 0; round < 50; round++) {
      const controller = new AbortController();
      controllers.push(controller);
      waits.push(failure(() => waitWritable(out, { signal: controller.signal })));
      waits.push(failure(() => waitWritable(out, { timeout: 1 })));
      waits.push(failure(() => waitWritable(-1, { signal, timeout: 1000 })));
      waits.push(failure(() => waitWritable(out, { signal: AbortSignal.abort() })));
    }
    for (const controller of controllers) controller.abort();
    await Promise.all(waits);
    const rest = [1, 2, 3, 4, 5].map(() => waitWritable(out, { signal, ...LIMIT }));
    drain(peer);
    await Promise.all(rest);
    await fill({ out }, input);
    await until(() => openFds().size === before.size, 'the descriptors of before');
    expect(require('node:events').getEventListeners(signal, 'abort').length).toBe(0);
  });

  const start = `
    const fs = require('node:fs');
    const { failure, rawPair, tmpFile } = require('./__test__/helpers.js');
    const { sendfileSync, waitWritable } = require('.');
    (async () => {
      const { near, far, out } = await rawPair({ unix: true });
      const input = fs.openSync(tmpFile(1_000_000), 'r');
      await failure(() => { for (;;) sendfileSync(out, input, 0, null); });
      near.unref();
      far.unref();`;

  test.each([
    ['a wait that is over keeps no process', `await failure(() => waitWritable(out, { timeout: 10 }));`],
    [
      'a wait that is aborted keeps no process',
      `await failure(() => {
        const controller = new AbortController();
        const wait = waitWritable(out, { signal: controller.signal, timeout: 60_000 });
        controller.abort();
        return wait;
      });`,
    ],
    [
      'a pending wait keeps its process until it is over',
      `let over = false;
      waitWritable(out, { timeout: 100 }).catch(() => { over = true; });
      process.on('exit', () => { if (!over) process.exitCode = 3; });`,
    ],
    [
      'process.exit ends one with waits pending',
      `for (let i = 0; i < 100; i++) waitWritable(out).catch(() => {});
      console.log('ended');
      process.exit(0);`,
    ],
  ])('%s', async (_what, text) => {
    const program = `${start} ${text} console.log('ended'); })();`;
    const { code, signal, stdout, stderr } = await runInChild(program);
    expect({ code, signal, stdout, stderr }).toEqual({
      code: 0,
      signal: null,
      stdout: 'ended\n',
      stderr: '',
    });
  });
});
