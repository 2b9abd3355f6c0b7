'use strict';

/** An abort that meets the end of its transfer. The native side is held, so that the two meet as told. */

const { transfer } = require('..');
const { native } = require('../lib/native');
const { until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { closeAll, failure, openFile, pair } = require('./streams');
const { onlyBy } = require('./ways');

const natively = onlyBy(['sendfile', 'copy'], 'the native side is not asked');

afterEach(closeAll);
afterEach(() => Object.assign(native, real));

const real = { transfer: native.transfer, cancel: native.cancel };
const DONE = 0;
const RUNNING = -1;
const OVER = -2;

/** A transfer of 10 bytes that the native side has: `end` is how it calls back, `cancelled` what it was told. */
function held(answer) {
  const asked = { cancelled: [] };
  native.cancel = (_id, hangUp) => {
    asked.cancelled.push(hangUp);
    return answer;
  };
  native.transfer = (_fd, _source, _offset, length, head, tail, _method, _report, done) => {
    const all = (head?.length ?? 0) + length + (tail?.length ?? 0);
    asked.end = () => done(DONE, all, 0, 1, 0, 0, 0);
    return 1e9;
  };
  return asked;
}

async function response() {
  const answered = new Promise((resolve) => {
    httpServer((_req, res) => {
      resolve(res);
    }).then(({ port }) => connect(port).send('/'));
  });
  const res = await answered;
  res.setHeader('Transfer-Encoding', 'chunked');
  return res;
}

natively(
  'a response whose connection was ended under a thread that has just sent all is told as aborted, with all',
  async () => {
    const asked = held(RUNNING);
    const controller = new AbortController();
    const res = await response();
    const sending = failure(transfer(res, openFile(Buffer.alloc(10)), { signal: controller.signal }));
    await until(() => asked.end, 'the native side');
    controller.abort();
    asked.end();
    expect(await sending).toMatchObject({ code: 'ABORT_ERR', bytesSent: 10 });
    expect(asked.cancelled[0]).toBe(true);
    expect(res.socket?.destroyed ?? res.destroyed).toBe(true);
  },
);

natively(
  'a response that was sent before the abort is told as sent, and its connection goes on',
  async () => {
    const asked = held(OVER);
    const controller = new AbortController();
    const res = await response();
    const sending = transfer(res, openFile(Buffer.alloc(10)), { signal: controller.signal });
    await until(() => asked.end, 'the native side');
    const { socket } = res;
    controller.abort();
    asked.end();
    expect(await sending).toBe(10);
    expect(socket.destroyed).toBe(false);
  },
);

natively('a socket is not ended under a thread, so what was sent is told as sent', async () => {
  const asked = held(RUNNING);
  const controller = new AbortController();
  const { near } = await pair();
  const sending = transfer(near, openFile(Buffer.alloc(10)), { signal: controller.signal });
  await until(() => asked.end, 'the native side');
  controller.abort();
  asked.end();
  expect(await sending).toBe(10);
  expect(asked.cancelled).toEqual([false]);
  expect(near.destroyed).toBe(false);
});
