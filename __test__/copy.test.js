'use strict';

const { spawn } = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const { PassThrough, Writable } = require('node:stream');
const { transfer } = require('..');
const {
  httpServer,
  listen,
  openFds,
  openFifo,
  pattern,
  readAll,
  request,
  root,
  runInChild,
  tmpFile,
  tmpPath,
  until,
} = require('./helpers');
const { http2Pair, passThrough, patchedPair, pem, tlsPair, writable } = require('./kinds');
const { closeAll, crowdOf, expectBytes, failure, keep, openFile, pair } = require('./streams');
const { onlyBy, reasonOf } = require('./ways');

afterEach(closeAll);

const SIZE = 8 << 20;
const content = pattern(SIZE, 41);
const file = tmpFile(content);

/** What the diagnostics channel has said of each transfer of this test. */
let messages = [];
const onMessage = (message) => messages.push(message);
beforeEach(() => {
  messages = [];
  diagnostics.subscribe('tracing:rs-sendfile:transfer:asyncEnd', onMessage);
});
afterEach(() => diagnostics.unsubscribe('tracing:rs-sendfile:transfer:asyncEnd', onMessage));

const hangUp = { destroy: (far) => far.destroy() };
const reset = {
  ...hangUp,
  'close without an error': (far) => far.close(),
  'close with CANCEL': (far) => far.close(http2.constants.NGHTTP2_CANCEL),
  'the session is destroyed': (far) => far.session.destroy(),
};

/**
 * Every kind of stream that the kernel's way is closed to, and the reason as it is told. What is true of any stream is
 * told by any-stream.test.js.
 */
const kinds = {
  TLS: { open: tlsPair, reason: 'TLS', leaves: hangUp },
  "HTTP/2's compatibility layer": { open: () => http2Pair(true), leaves: reset },
  'an HTTP/2 stream': { open: () => http2Pair(false), leaves: reset },
  'a PassThrough': { open: passThrough, reason: 'not a plain socket' },
  'a Writable of 16 bytes': { open: () => writable(16), reason: 'not a plain socket' },
  'a socket with a patched write': { open: patchedPair, reason: 'not a plain socket', leaves: hangUp },
};

describe.each(Object.entries(kinds))('%s', (_name, { open, reason, leaves }) => {
  test('gets the bytes in order, with writes, headers and trailers', async () => {
    const { near, far } = await open();
    const received = readAll(far);
    near.write('before');
    const sent = await transfer(near, openFile(file), {
      offset: 5,
      length: 700_000,
      headers: 'h',
      trailers: ['t', 't'],
    });
    near.write('between');
    expect(await transfer(near, file, { length: 10n })).toBe(10);
    near.end('after');
    expect(sent).toBe(700_003);
    expectBytes(
      await received,
      Buffer.concat(
        ['beforeh', content.subarray(5, 700_005), 'ttbetween', content.subarray(0, 10), 'after'].map((part) =>
          Buffer.from(part),
        ),
      ),
    );
    expect(messages.map(({ method }) => method)).toEqual(['copy', 'copy']);
    expect(messages[0].bytes).toBe(700_003);
    if (reason) expect(messages[0].reason).toBe(reasonOf(reason));
    else expect(messages[0].reason).toEqual(expect.any(String));
  });

  test('gets two transfers in the order of the calls', async () => {
    const { near, far } = await open();
    const received = readAll(far);
    const sent = await Promise.all([
      transfer(near, file, { length: 300_000 }),
      transfer(near, openFile(file), { offset: 1, length: 200_000 }),
      transfer(near, file, { offset: 2, length: 100_000 }),
    ]);
    near.end();
    expect(sent).toEqual([300_000, 200_000, 100_000]);
    expectBytes(
      await received,
      Buffer.concat([
        content.subarray(0, 300_000),
        content.subarray(1, 200_001),
        content.subarray(2, 100_002),
      ]),
    );
  });

  if (leaves) {
    test.each(Object.keys(leaves))(
      'ends its transfers when its reader leaves in the middle: %s',
      async (how) => {
        const { near, far } = await open();
        const sending = failure(transfer(near, openFile(file)));
        await once(far, 'readable');
        leaves[how](far);
        expect(await sending).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
        await until(() => near.destroyed ?? near.stream?.destroyed, 'the end of the stream');
      },
    );
  }

  test("refuses method 'sendfile', and stays usable", async () => {
    const { near, far } = await open();
    const received = readAll(far);
    expect(await failure(transfer(near, file, { method: 'sendfile', length: 5 }))).toMatchObject({
      code: 'ENOTSUP',
      bytesSent: 0,
    });
    expect(await transfer(near, file, { length: 5 })).toBe(5);
    near.end();
    expectBytes(await received, content.subarray(0, 5));
  });

  test('refuses what is no file, and stays usable', async () => {
    const { near, far } = await open();
    const received = readAll(far);
    expect(await failure(transfer(near, '/does/not/exist'))).toMatchObject({ code: 'ENOENT', bytesSent: 0 });
    expect(await failure(transfer(near, -1))).toMatchObject({ code: 'EBADF', bytesSent: 0 });
    near.end('after');
    expect((await received).toString()).toBe('after');
  });

  test('has no listeners left over, and warns of none', async () => {
    const { near, far } = await open();
    far.resume();
    const crowd = crowdOf(near);
    const listeners = () =>
      Object.fromEntries(near.eventNames().map((name) => [String(name), near.listenerCount(name)]));
    await transfer(near, file, { length: 1000 });
    const before = listeners();
    await Promise.all(Array.from({ length: 20 }, () => transfer(near, openFile(file), { length: 200_000 })));
    await new Promise(setImmediate);
    expect(listeners()).toEqual(before);
    expect(crowd()).toBe(0);
  });
});

test("HTTP/2's compatibility layer gets a Content-Length", async () => {
  const { near, far } = await http2Pair(true, true);
  far.resume();
  const [[headers]] = await Promise.all([
    once(far, 'response'),
    transfer(near, file, { length: 1000 }).then(() => near.end()),
  ]);
  expect(headers['content-length']).toBe('1000');
});

test('many responses of one HTTP/2 session get their bytes', async () => {
  const server = keep(
    http2.createServer(async (_req, res) => {
      await transfer(res, openFile(file), { length: 300_000 });
      res.end();
    }),
  );
  const port = await listen(server);
  const client = keep(http2.connect(`http://127.0.0.1:${port}`));
  const bodies = await Promise.all(
    Array.from({ length: 30 }, () => readAll(client.request({ ':path': '/' }))),
  );
  for (const body of bodies) expectBytes(body, content.subarray(0, 300_000));
});

test('a file stream gets the bytes', async () => {
  const to = tmpPath('copy');
  const near = fs.createWriteStream(to);
  near.write('before');
  expect(await transfer(near, file)).toBe(SIZE);
  near.end('after');
  await once(near, 'close');
  expectBytes(fs.readFileSync(to), Buffer.concat([Buffer.from('before'), content, Buffer.from('after')]));
});

test("a file stream's error is the cause", async () => {
  const near = keep(fs.createWriteStream('/dev/full'));
  const error = await failure(transfer(near, file));
  expect(error).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', cause: { code: 'ENOSPC' } });
});

test("a Writable's error is the cause, and is not unheard", async () => {
  const cause = new Error('mine');
  let calls = 0;
  const near = new Writable({ write: (_chunk, _encoding, done) => done(++calls > 3 ? cause : null) });
  const error = await failure(transfer(near, file));
  expect(error).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', cause });
  expect(error.bytesSent).toBeGreaterThan(0);
  await new Promise(setImmediate);
});

test('a Writable that takes nothing is given one chunk, and the next one only after it', async () => {
  const waiting = [];
  let taken = 0;
  const near = keep(
    new Writable({
      highWaterMark: 1,
      write: (chunk, _encoding, done) => {
        waiting.push(() => {
          taken += chunk.length;
          done();
        });
      },
    }),
  );
  const sending = transfer(near, openFile(file));
  for (let i = 0; i < 5; i++) {
    await until(() => waiting.length > 0, 'a chunk');
    // Time enough to read the whole file ahead, for one that would.
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    expect(waiting.length).toBe(1);
    expect(near.writableLength).toBeLessThanOrEqual(128 * 1024);
    waiting.shift()();
  }
  const drain = setInterval(() => waiting.splice(0).forEach((take) => void take()), 0);
  expect(await sending).toBe(SIZE);
  clearInterval(drain);
  expect(taken).toBe(SIZE);
});

test('a FIFO as a source is copied until its end, without an offset and from its own place', async () => {
  for (const offset of [undefined, null]) {
    const { path, fd } = openFifo();
    const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    fs.writeSync(fd, 'through a pipe');
    fs.closeSync(fd);
    const near = new PassThrough();
    expect(await transfer(near, reader, { offset })).toBe(14);
    near.end();
    expect((await readAll(near)).toString()).toBe('through a pipe');
    fs.closeSync(reader);
  }
});

test('process.stdout as a pipe gets the bytes', async () => {
  const child = spawn(
    process.execPath,
    ['-e', `require('.').transfer(process.stdout, ${JSON.stringify(file)}).then((n) => console.error(n))`],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [out, err] = await Promise.all([readAll(child.stdout), readAll(child.stderr)]);
  expect(err.toString()).toBe(`${SIZE}\n`);
  expectBytes(out, content);
});

test('a response with a patched write gets the bytes through it', async () => {
  let through = 0;
  const { port, close } = await httpServer(async (_req, res) => {
    const { write } = res;
    res.write = function patched(chunk, ...rest) {
      through += chunk.length;
      return write.call(this, chunk, ...rest);
    };
    await transfer(res, file);
    res.end();
  });
  const { body, headers } = await request(port);
  expectBytes(body, content);
  expect(through).toBe(SIZE);
  expect(headers['content-length']).toBe(String(SIZE));
  expect(messages).toMatchObject([{ method: 'copy', reason: reasonOf('patched'), bytes: SIZE }]);
  await close();
});

test('a response over TLS gets the bytes', async () => {
  const https = require('node:https');
  const server = keep(
    https.createServer({ key: pem, cert: pem }, async (_req, res) => {
      await transfer(res, file, { offset: 1 });
      res.end();
    }),
  );
  const port = await listen(server);
  const body = await new Promise((resolve, reject) => {
    https.get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }, (res) => {
      readAll(res).then(resolve, reject);
    });
  });
  expectBytes(body, content.subarray(1));
  await until(() => messages.length > 0, 'the end of the transfer');
  expect(messages).toMatchObject([{ method: 'copy', reason: reasonOf('TLS'), bytes: SIZE - 1 }]);
});

test('a client request gets the bytes', async () => {
  const { port, close } = await httpServer(async (req, res) => {
    res.end(String((await readAll(req)).equals(content)));
  });
  const req = http.request({ port, host: '127.0.0.1', method: 'PUT', agent: false });
  const responded = once(req, 'response');
  expect(await transfer(req, file)).toBe(SIZE);
  req.end();
  const [res] = await responded;
  expect((await readAll(res)).toString()).toBe('true');
  await close();
});

test("a socket by method 'copy' gets the bytes, in order", async () => {
  const { near, far } = await pair({ unix: true });
  const received = readAll(far);
  near.write('a');
  const sending = transfer(near, openFile(file), { method: 'copy', headers: 'h', trailers: 't' });
  near.end('b');
  expect(await sending).toBe(SIZE + 2);
  expectBytes(await received, Buffer.concat([Buffer.from('ah'), content, Buffer.from('tb')]));
  expect(messages).toMatchObject([{ method: 'copy', bytes: SIZE + 2 }]);
});

const whereAllowed = onlyBy(['sendfile', 'copy'], 'the operator forbids it');
whereAllowed("a socket by method 'sendfile' gets the bytes by the kernel", async () => {
  const { near, far } = await pair({ unix: true });
  const received = readAll(far);
  await transfer(near, file, { method: 'sendfile' });
  near.end();
  expectBytes(await received, content);
  expect(messages).toMatchObject([{ method: 'sendfile', bytes: SIZE }]);
  expect(messages[0].reason).toBeUndefined();
});

describe('a process in which the kernel may not be used', () => {
  const program = `
    const { transfer, sendfileSync, support } = require('.');
    const { socketPair, readAll, pattern, tmpFile } = require('./__test__/helpers');
    const fs = require('node:fs');
    const seen = [];
    require('node:diagnostics_channel').subscribe('tracing:rs-sendfile:transfer:asyncEnd', (message) => seen.push(message));
    (async () => {
      const content = pattern(3 << 20);
      const file = tmpFile(content);
      const { near, far } = await socketPair({ unix: true });
      const received = readAll(far);
      near.write('a');
      const results = await Promise.all([transfer(near, file), transfer(near, fs.openSync(file), { offset: 1 })]);
      near.end('b');
      const whole = (await received).equals(Buffer.concat([Buffer.from('a'), content, content.subarray(1), Buffer.from('b')]));
      const missing = await transfer(far, '/does/not/exist').catch(({ code }) => code);
      const fifo = await transfer(new (require('node:stream').PassThrough)(), '/dev/zero').catch(({ code }) => code);
      console.log(JSON.stringify({
        results, whole, missing, fifo,
        available: support.available,
        reasons: [...new Set(seen.slice(0, 2).map(({ reason }) => reason))],
        methods: [...new Set(seen.slice(0, 2).map(({ method }) => method))],
        calls: seen.reduce((sum, { calls }) => sum + calls, 0),
      }));
    })();
  `;
  const expected = {
    results: [3 << 20, (3 << 20) - 1],
    whole: true,
    fifo: 'EINVAL',
    methods: ['copy'],
    // The native side has sent nothing.
    calls: 0,
  };

  test.each(['1'])('by RS_SENDFILE_DISABLE=%s gets the same', async (value) => {
    const { stdout, stderr } = await runInChild(program, { env: { RS_SENDFILE_DISABLE: value } });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ ...expected, reasons: ['RS_SENDFILE_DISABLE'] });
  });

  test('for want of a binary gets the same', async () => {
    const { stdout, stderr } = await runInChild(program, {
      env: { NAPI_RS_NATIVE_LIBRARY_PATH: '/nonexistent', RS_SENDFILE_DISABLE: '' },
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ ...expected, available: false, reasons: ['unsupported'] });
  });
});

test('nothing is left open by streams that are destroyed under a transfer', async () => {
  const before = openFds().size;
  for (let i = 0; i < 50; i++) {
    const { near, far } = writable(16);
    const fd = fs.openSync(file);
    const sending = [fd, file].map((source) => transfer(near, source).catch(() => {}));
    fs.closeSync(fd);
    await once(far, 'readable');
    near.destroy();
    await Promise.all(sending);
  }
  await until(() => openFds().size <= before, `${before} descriptors`);
});
