'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { transfer } = require('..');
const { listen, pattern, readAll, readBytes, runInChild, tmpFile, until } = require('./helpers');
const {
  closeAll,
  expectBytes,
  failure,
  keep,
  openFile,
  pair,
  readSlowly,
  settled,
  through,
  underWay,
} = require('./streams');
const { way } = require('./ways');

afterEach(() => {
  jest.restoreAllMocks();
  closeAll();
});

const SIZE = 2 << 20;
const content = pattern(SIZE, 11);
const file = tmpFile(content);

/** A signal that tells how many listeners it has. */
function listening() {
  const controller = new AbortController();
  const { signal } = controller;
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...given) => {
    count++;
    addEventListener.apply(signal, given);
  };
  signal.removeEventListener = (...given) => {
    count--;
    removeEventListener.apply(signal, given);
  };
  return { signal, abort: () => controller.abort(), count: () => count };
}

/** Fills the kernel's buffer of a socket past Node; returns with how many bytes. */
function fill(socket) {
  for (let filled = 0; ; ) {
    try {
      filled += fs.writeSync(socket._handle.fd, Buffer.alloc(4096, 'f'));
    } catch (error) {
      expect(error.code).toBe('EAGAIN');
      return filled;
    }
  }
}

describe('a signal', () => {
  test('that is aborted already sends nothing and leaves the stream usable', async () => {
    const { near, far } = await pair();
    const received = readAll(far);
    const reason = new Error('why');
    const error = await failure(transfer(near, openFile(file), { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', bytesSent: 0, cause: reason });
    expect(await transfer(near, file, { length: 3 })).toBe(3);
    near.end('after');
    expectBytes(await received, Buffer.concat([content.subarray(0, 3), Buffer.from('after')]));
  });

  test.each([
    ['in the turn of the call', () => {}],
    ['in the next microtask', () => Promise.resolve()],
  ])('aborted while the path opens, %s, sends nothing and leaves the stream usable', async (_name, wait) => {
    for (const path of [tmpFile(content), file]) {
      const { near, far } = await pair();
      const received = readAll(far);
      const controller = new AbortController();
      const sending = transfer(near, path, { signal: controller.signal });
      near.cork(); // a path that was open at once has not left either
      await wait();
      controller.abort();
      near.uncork();
      expect(await failure(sending)).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
      expect(near.destroyed).toBe(false);
      near.write('a');
      expect(await transfer(near, path)).toBe(SIZE);
      near.end('b');
      expectBytes(await received, Buffer.concat([Buffer.from('a'), content, Buffer.from('b')]));
    }
  });

  test('aborted while the transfer is behind another takes it out, and nothing else', async () => {
    const { near, far } = await pair({ unix: true });
    const controller = new AbortController();
    near.write('1');
    const one = transfer(near, openFile(file));
    near.write('2');
    const two = transfer(near, openFile(file), { signal: controller.signal, headers: 'no' });
    near.write('3');
    const three = transfer(near, openFile(file), { length: 70_000 });
    near.end('4');
    await underWay(near);
    controller.abort();
    expect(await failure(two)).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    expect(near.destroyed).toBe(false);
    expectBytes(
      await readAll(far),
      Buffer.concat([
        Buffer.from('1'),
        content,
        Buffer.from('23'),
        content.subarray(0, 70_000),
        Buffer.from('4'),
      ]),
    );
    expect(await Promise.all([one, three])).toEqual([SIZE, 70_000]);
  });

  test('aborted at the head of a full socket takes it out, with what other writers have queued left whole', async () => {
    const { near, far } = await pair({ unix: true });
    const controller = new AbortController();
    const filler = pattern(400_000, 3);
    near.write(filler);
    near.write('just before');
    const sending = transfer(near, openFile(file), { signal: controller.signal, headers: 'no' });
    near.write('just after');
    near.end();
    controller.abort();
    expect(await failure(sending)).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    expectBytes(
      await readAll(far),
      Buffer.concat([filler, Buffer.from('just before'), Buffer.from('just after')]),
    );
  });

  test('aborted in flight on a full socket, before its first byte, lets the stream go on', async () => {
    const { near, far } = await pair({ unix: true });
    // The kernel's buffer is full, Node's queue is empty: the transfer is the engine's, and waits.
    const filled = fill(near);
    const controller = new AbortController();
    const sending = transfer(near, openFile(file), { signal: controller.signal });
    near.end('after');
    controller.abort();
    expect(await failure(sending)).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    expectBytes(await readAll(far), Buffer.concat([Buffer.alloc(filled, 'f'), Buffer.from('after')]));
  });

  test('aborted when its bytes wait in a full socket: taken back by the native side, and the end of it in JS', async () => {
    const { near, far } = await pair({ unix: true });
    const filled = fill(near);
    const controller = new AbortController();
    const sending = transfer(near, openFile(file), { signal: controller.signal });
    if (way === 'disabled') await until(() => near._handle.writeQueueSize > 0, 'the first chunk');
    near.end('after');
    controller.abort();
    expect(await failure(sending)).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    // What JS has given to the socket cannot be taken back.
    expect(near.destroyed).toBe(way === 'disabled');
    const rest = way === 'disabled' ? '' : 'after';
    expectBytes(await readAll(far), Buffer.concat([Buffer.alloc(filled, 'f'), Buffer.from(rest)]));
  });

  test('aborted on a connecting socket leaves it usable', async () => {
    const server = keep(net.createServer());
    const socket = keep(net.connect(await listen(server), '127.0.0.1'));
    const received = once(server, 'connection').then(([peer]) => readAll(peer));
    const controller = new AbortController();
    const sending = transfer(socket, openFile(file), { signal: controller.signal });
    controller.abort();
    expect(await failure(sending)).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    socket.end('after');
    expect((await received).toString()).toBe('after');
  });

  test.each(way === 'disabled' ? ['auto', 'copy'] : ['auto', 'sendfile', 'copy'])(
    'aborted in the middle ends the connection, method %s',
    async (method) => {
      const { near, far } = await pair({ unix: true });
      const controller = new AbortController();
      const errors = [];
      near.on('error', (error) => errors.push(error));
      const closed = once(near, 'close');
      near.write('before');
      const sending = transfer(near, openFile(file), { signal: controller.signal, method });
      const next = failure(transfer(near, openFile(file)));
      const written = new Promise((resolve) => near.write('after', resolve));
      await readBytes(far, 6 + 1);
      controller.abort();
      const error = await failure(sending);
      expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
      expect(near.destroyed).toBe(true);
      const received = await readAll(far);
      expect(received.length).toBe(error.bytesSent - 1);
      expectBytes(received, content.subarray(1, error.bytesSent));
      expect(await next).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
      expect(await written).toBeTruthy();
      await closed;
      expect(errors).toEqual([]);
    },
  );

  test('aborted in the middle on TCP: what the peer received was counted', async () => {
    const { near, far } = await pair();
    const big = tmpFile(pattern(24 << 20, 5));
    const controller = new AbortController();
    const sending = transfer(near, openFile(big), { signal: controller.signal });
    await underWay(near);
    controller.abort();
    const { bytesSent } = await failure(sending);
    const received = await readAll(far).catch(() => Buffer.alloc(0));
    expect(bytesSent).toBeGreaterThan(0);
    expect(bytesSent).toBeGreaterThanOrEqual(received.length);
  });

  test('aborted between the markers of a long file ends the connection', async () => {
    const { near, far } = await pair({ unix: true });
    const path = tmpFile('');
    fs.truncateSync(path, 80 << 20);
    const controller = new AbortController();
    const sending = transfer(near, openFile(path), { signal: controller.signal });
    let received = 0;
    far.on('data', (chunk) => {
      received += chunk.length;
      if (received > 66 << 20) controller.abort();
    });
    far.resume();
    const { code, bytesSent } = await failure(sending);
    expect(code).toBe('ABORT_ERR');
    expect(bytesSent).toBeGreaterThan(66 << 20);
    expect(bytesSent).toBeLessThan(80 << 20);
    expect(near.destroyed).toBe(true);
    if (!far.closed) await once(far, 'close');
    expect(received).toBe(bytesSent);
  });

  test('aborted after the end has no effect', async () => {
    const controller = new AbortController();
    const { received } = await through(async (near) => {
      await transfer(near, openFile(file), { signal: controller.signal });
      controller.abort();
      near.write('after');
    });
    expectBytes(received, Buffer.concat([content, Buffer.from('after')]));
  });

  test('has no listener left after a success, an error and an abort', async () => {
    const done = listening();
    await through((near) => transfer(near, file, { signal: done.signal }));
    expect(done.count()).toBe(0);
    const { near } = await pair();
    const missing = listening();
    await failure(transfer(near, '/does/not/exist', { signal: missing.signal }));
    await failure(transfer(near, -1, { signal: missing.signal }));
    expect(missing.count()).toBe(0);
    const aborted = listening();
    const sending = transfer(near, file, { signal: aborted.signal });
    expect(aborted.count()).toBe(1);
    aborted.abort();
    await failure(sending);
    expect(aborted.count()).toBe(0);
  });
});

describe('the timeout', () => {
  test.each(['auto', 'copy'])(
    'ends a transfer that nobody reads, and its connection, method %s',
    async (method) => {
      const { near, far } = await pair({ unix: true });
      const began = performance.now();
      const error = await failure(transfer(near, openFile(file), { timeout: 200, method }));
      const took = performance.now() - began;
      expect(error).toMatchObject({ code: 'ERR_SENDFILE_TIMEOUT' });
      expect(error.bytesSent).toBeGreaterThan(0);
      expect(took).toBeGreaterThan(190);
      expect(near.destroyed).toBe(true);
      const received = await readAll(far);
      expect(received.length).toBe(error.bytesSent);
      expectBytes(received, content.subarray(0, received.length));
    },
  );

  test('does not count what had left a stuck socket before', async () => {
    const { near } = await pair({ unix: true });
    near.write(Buffer.alloc(400_000));
    await underWay(near);
    const plain = new Promise((resolve) => setTimeout(() => resolve(performance.now()), 1_000));
    const error = await failure(transfer(near, openFile(file), { timeout: 1_000 }));
    const over = performance.now();
    expect(error).toMatchObject({ code: 'ERR_SENDFILE_TIMEOUT' });
    // Taken for movement, those bytes would buy it a second round. A machine that is busy keeps both clocks waiting.
    expect(over - (await plain)).toBeLessThan(900);
  });

  test('ends a transfer that waits behind one that nobody reads', async () => {
    const { near } = await pair({ unix: true });
    const first = failure(transfer(near, openFile(file)));
    const second = await failure(transfer(near, openFile(file), { timeout: 200 }));
    expect(second).toMatchObject({ code: 'ERR_SENDFILE_TIMEOUT', bytesSent: 0 });
    expect(near.destroyed).toBe(true);
    expect(await first).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
  });

  test('of 0 is none', async () => {
    const { near, far } = await pair({ unix: true });
    const sending = transfer(near, openFile(file), { timeout: 0 });
    await underWay(near);
    expect(await settled(sending)).toBe(false);
    far.resume();
    expect(await sending).toBe(SIZE);
  });

  test('is over with the transfer', async () => {
    const { near, far } = await pair();
    far.resume();
    const set = jest.spyOn(globalThis, 'setTimeout');
    const cleared = jest.spyOn(globalThis, 'clearTimeout');
    await transfer(near, file, { timeout: 60_000 });
    // The last: those before it have fired.
    const [last] = set.mock.results.slice(-1);
    expect(cleared.mock.calls.flat().includes(last.value)).toBe(true);
    expect(near.destroyed).toBe(false);
  });
});

describe("the socket's idle timer", () => {
  test('fires when none do, and again when nobody listens to it', async () => {
    const { near, far } = await pair({ unix: true });
    near.setTimeout(150);
    const sending = transfer(near, openFile(file));
    await once(near, 'timeout');
    expect(await settled(sending)).toBe(false);
    far.resume();
    expect(await sending).toBe(SIZE);
  });

  test("that destroys the socket ends the transfer, as a server's would", async () => {
    const { near } = await pair({ unix: true });
    near.setTimeout(150, () => near.destroy());
    expect(await failure(transfer(near, openFile(file)))).toMatchObject({
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    });
  });
});

describe('onProgress', () => {
  test('hears a growing count, not too often, and the total once', async () => {
    const { near, far } = await pair({ unix: true });
    const heard = [];
    const sending = transfer(near, openFile(file), {
      headers: 'abc',
      onProgress: (bytes) => heard.push({ bytes, at: performance.now() }),
    });
    sending.then(() => near.end());
    await readSlowly(far, 64 * 1024, 30);
    expect(await sending).toBe(SIZE + 3);
    const counts = heard.map(({ bytes }) => bytes);
    expect(counts.length).toBeGreaterThan(2);
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    expect(counts.at(-1)).toBe(SIZE + 3);
    for (let i = 1; i < heard.length - 1; i++) {
      expect(heard[i].at - heard[i - 1].at).toBeGreaterThan(95);
    }
  });

  test('hears the total of a transfer that takes no time, before the promise resolves', async () => {
    const heard = [];
    const { result } = await through(async (near) => {
      const bytes = await transfer(near, tmpFile('12345'), { onProgress: (count) => heard.push(count) });
      heard.push('resolved');
      return bytes;
    });
    expect(result).toBe(5);
    expect(heard).toEqual([5, 'resolved']);
  });

  test('hears nothing more after an error', async () => {
    const { near } = await pair({ unix: true });
    const heard = [];
    const controller = new AbortController();
    const sending = transfer(near, openFile(file), {
      signal: controller.signal,
      onProgress: (bytes) => heard.push(bytes),
    });
    await until(() => heard.length > 0, 'progress');
    controller.abort();
    const { bytesSent } = await failure(sending);
    const count = heard.length;
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(heard.length).toBe(count);
    expect(heard.at(-1)).toBeLessThanOrEqual(bytesSent);
  });

  test('may abort', async () => {
    const { near } = await pair({ unix: true });
    const controller = new AbortController();
    const sending = transfer(near, openFile(file), {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    expect(await failure(sending)).toMatchObject({ code: 'ABORT_ERR' });
  });

  test('may begin the next transfer', async () => {
    let next;
    const { received } = await through(async (near) => {
      await transfer(near, tmpFile('one'), {
        onProgress: () => {
          next = transfer(near, openFile(Buffer.from('two')));
        },
      });
      await next;
    });
    expect(received.toString()).toBe('onetwo');
  });

  test('that throws is heard by the process, and the transfer arrives whole', async () => {
    const { code, stdout, stderr } = await runInChild(`
      const { transfer } = require('.');
      const { socketPair, readAll } = require('./__test__/helpers');
      const fs = require('node:fs');
      const heard = [];
      process.on('uncaughtException', (error, origin) => heard.push(error.message + ' ' + origin));
      (async () => {
        const { near, far } = await socketPair();
        const received = readAll(far);
        const sent = await transfer(near, ${JSON.stringify(file)}, { onProgress() { throw new Error('mine'); } });
        near.end();
        const bytes = await received;
        const whole = bytes.equals(fs.readFileSync(${JSON.stringify(file)}));
        console.log(JSON.stringify({ sent, whole, heard }));
      })();
    `);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { sent, whole, heard } = JSON.parse(stdout);
    expect({ sent, whole }).toEqual({ sent: SIZE, whole: true });
    expect(new Set(heard)).toEqual(new Set(['mine uncaughtException']));
  });
});

test('a pending transfer keeps the process alive, and its end lets it go', async () => {
  const { code, signal, stdout, stderr } = await runInChild(
    `
    const { transfer } = require('.');
    const { socketPair } = require('./__test__/helpers');
    const fs = require('node:fs');
    (async () => {
      const { near, far } = await socketPair({ unix: true });
      near.unref();
      far.unref();
      const sending = transfer(near, fs.openSync(${JSON.stringify(file)}), { timeout: 300 });
      await sending.catch((error) => console.log(error.code));
    })();
  `,
  );
  expect({ code, signal, stdout, stderr }).toEqual({
    code: 0,
    signal: null,
    stdout: 'ERR_SENDFILE_TIMEOUT\n',
    stderr: '',
  });
});

test('the bytes of an aborted transfer that have left are a prefix of the file, at any moment', async () => {
  for (let i = 0; i < 30; i++) {
    const { near, far } = await pair({ unix: true });
    const controller = new AbortController();
    const sending = transfer(near, openFile(file), { signal: controller.signal });
    const some = await readBytes(far, i * 50_000);
    if (i % 3 === 0) await Promise.resolve();
    if (i % 3 === 1) await new Promise(setImmediate);
    controller.abort();
    const result = await sending.catch((error) => error);
    const rest = near.destroyed ? await readAll(far) : Buffer.alloc(0);
    const received = Buffer.concat([some, rest]);
    expectBytes(received, content.subarray(0, received.length));
    if (result instanceof Error || result.code) expect(result.bytesSent).toBe(received.length);
    near.destroy();
  }
});
