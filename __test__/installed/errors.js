'use strict';

/** Errors of the call: code, number and text are those of this platform's own Node. */

const fs = require('node:fs');
const os = require('node:os');
const { getSystemErrorName } = require('node:util');
const { sendfile, sendfileSync, waitWritable } = require('rs-sendfile');
const { openFifo, rawPair, root, tmpFile, tmpPath } = require('../helpers');
const { assert, failure, run, test } = require('../runtimes/harness');

const file = tmpFile(1000);
const forms = {
  sendfileSync: async (...args) => sendfileSync(...args),
  sendfile: (...args) => sendfile(...args),
};

/** The number is this architecture's, by the name that Node itself has for it. */
function assertSystemError(error, code) {
  assert.strictEqual(error.code, code);
  assert.strictEqual(error.errno, -os.constants.errno[code]);
  assert.strictEqual(getSystemErrorName(error.errno), code);
  assert.strictEqual(error.syscall, 'sendfile');
  assert.ok(error.message.startsWith(`${code}: `) && error.message.endsWith(', sendfile'), error.message);
}

for (const [name, call] of Object.entries(forms)) {
  test(`${name}: each refusal of the kernel by its name and number`, async () => {
    const input = fs.openSync(file);
    const writeOnly = fs.openSync(tmpPath(), 'w');
    const append = fs.openSync(tmpPath(), 'a');
    const directory = fs.openSync(root);
    const fifo = openFifo();
    const { out, near, far } = await rawPair({ unix: true });
    const cases = [
      ['EBADF', [-1, input, 0, 10]],
      ['EBADF', [987_654, input, 0, 10]],
      ['EBADF', [input, input, 0, 10]],
      ['EBADF', [out, writeOnly, 0, 10]],
      ['EINVAL', [out, directory, 0, 10]],
      ['EINVAL', [append, input, 0, 10]],
      ['EINVAL', [out, input, -1, 10]],
      ['EINVAL', [out, input, 0, -1n]],
      ['EINVAL', [out, input, 2n ** 63n - 1n, null]],
      ['EINVAL', [out, input, 0, 10, null, null, 1]],
      ['ESPIPE', [out, fifo.fd, 0, 10]],
      ['EOVERFLOW', [out, input, 2n ** 62n, 10]],
    ];
    for (const [code, given] of cases) assertSystemError(await failure(call(...given)), code);
    await new Promise((resolve) => near.end(resolve));
    assertSystemError(await failure(call(out, input, 0, 10)), 'EPIPE');
    assertSystemError(await failure(call(out, input, 0, 10, 'head')), 'EPIPE');
    near.destroy();
    far.destroy();
    for (const fd of [input, writeOnly, append, directory, fifo.fd]) fs.closeSync(fd);
  });

  test(`${name}: numbers past 2^63 and wrong types never reach the kernel`, async () => {
    const input = fs.openSync(file);
    for (const offset of [2 ** 63, 2n ** 63n, 2n ** 64n, NaN, 0.5])
      assert.strictEqual((await failure(call(1, input, offset, 10))).code, 'ERR_OUT_OF_RANGE');
    for (const offset of ['0', {}, true])
      assert.strictEqual((await failure(call(1, input, offset, 10))).code, 'ERR_INVALID_ARG_TYPE');
    fs.closeSync(input);
  });
}

test('a wait: for a pipe that is full, by timeout and by signal; for a closed fd, EBADF', async () => {
  const { fd } = openFifo();
  const input = fs.openSync(tmpFile(1 << 20));
  const error = await failure(
    (async () => {
      for (;;) sendfileSync(fd, input, 0, null);
    })(),
  );
  assertSystemError(error, 'EAGAIN');
  assert.strictEqual((await failure(waitWritable(fd, { timeout: 50 }))).code, 'ERR_SENDFILE_TIMEOUT');
  const control = new AbortController();
  const waiting = failure(waitWritable(fd, { signal: control.signal }));
  control.abort();
  assert.strictEqual((await waiting).code, 'ABORT_ERR');
  assert.strictEqual((await failure(waitWritable(987_654))).code, 'EBADF');
  fs.closeSync(input);
  fs.closeSync(fd);
});

run();
