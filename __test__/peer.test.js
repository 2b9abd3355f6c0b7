'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { transfer } = require('..');
const { listen, openFds, pattern, readAll, readBytes, runInChild, tmpFile, until } = require('./helpers');
const { closeAll, expectBytes, failure, keep, openFile, pair } = require('./streams');

afterEach(closeAll);

const SIZE = 2 << 20;
const content = pattern(SIZE, 21);
const file = tmpFile(content);
/** More than any socket's buffers hold. */
const huge = tmpFile('');
fs.truncateSync(huge, 64 << 20);

const CLOSED = { code: 'ERR_STREAM_PREMATURE_CLOSE' };

describe('a peer that resets', () => {
  test('in the middle ends the transfer, with the cause and the bytes so far', async () => {
    const { near, far } = await pair();
    const sending = failure(transfer(near, openFile(huge)));
    await readBytes(far, 100_000);
    far.resetAndDestroy();
    const error = await sending;
    expect(error).toMatchObject(CLOSED);
    expect(['EPIPE', 'ECONNRESET']).toContain(error.cause.code);
    expect(error.bytesSent).toBeGreaterThanOrEqual(100_000);
    if (!near.closed) await once(near, 'close');
  });

  test('before the first byte ends the transfer', async () => {
    const { near, far } = await pair();
    far.resetAndDestroy();
    await once(far, 'close');
    const error = await failure(transfer(near, openFile(huge)));
    expect(error).toMatchObject(CLOSED);
    expect(near.destroyed).toBe(true);
  });

  test('while the transfer waits behind another ends both', async () => {
    const { near, far } = await pair();
    const both = [failure(transfer(near, openFile(huge))), failure(transfer(near, openFile(huge)))];
    await readBytes(far, 100_000);
    far.resetAndDestroy();
    const [first, second] = await Promise.all(both);
    expect(first).toMatchObject(CLOSED);
    expect(second).toMatchObject({ ...CLOSED, bytesSent: 0 });
  });

  test('after the last byte does no harm to the result', async () => {
    const { near, far } = await pair();
    const sending = transfer(near, openFile(file));
    await readBytes(far, SIZE);
    expect(await sending).toBe(SIZE);
    far.resetAndDestroy();
    if (!near.closed) await once(near, 'close').catch(() => {});
    expect(await failure(transfer(near, openFile(file)))).toMatchObject({ bytesSent: 0 });
  });

  test('over a unix socket ends the transfer', async () => {
    const { near, far } = await pair({ unix: true });
    const sending = failure(transfer(near, openFile(file)));
    await readBytes(far, 1000);
    far.destroy();
    const error = await sending;
    expect(error).toMatchObject(CLOSED);
    expect(error.bytesSent).toBeGreaterThanOrEqual(1000);
  });
});

describe('a peer that ends its own side', () => {
  test.each([true, false])('still gets everything (allowHalfOpen %s)', async (allowHalfOpen) => {
    const { near, far } = await pair({ unix: true, allowHalfOpen });
    near.resume();
    const sending = transfer(near, openFile(file));
    far.end();
    await once(near, 'end');
    near.end();
    expectBytes(await readAll(far), content);
    expect(await sending).toBe(SIZE);
  });

  test('before the call is no obstacle where the socket stays half open', async () => {
    const { near, far } = await pair({ unix: true });
    near.resume();
    far.end();
    await once(near, 'end');
    const sending = transfer(near, openFile(file));
    near.end();
    expectBytes(await readAll(far), content);
    expect(await sending).toBe(SIZE);
  });
});

describe('a socket that is destroyed', () => {
  test.each(['auto', 'copy'])('in the middle: all its transfers reject, method %s', async (method) => {
    const { near, far } = await pair({ unix: true });
    const sending = failure(transfer(near, openFile(file), { method }));
    const next = failure(transfer(near, openFile(file), { method }));
    const opening = failure(transfer(near, file, { method }));
    await readBytes(far, 1);
    const cause = new Error('why');
    near.on('error', () => {});
    near.destroy(cause);
    const error = await sending;
    expect(error).toMatchObject({ ...CLOSED, cause });
    expect(await next).toMatchObject({ ...CLOSED, bytesSent: 0 });
    expect(await opening).toMatchObject({ ...CLOSED, bytesSent: 0 });
    const received = await readAll(far);
    expect(received.length).toBe(error.bytesSent - 1);
    expectBytes(received, content.subarray(1, error.bytesSent));
  });

  test('in the turn of the call: nobody waits for ever', async () => {
    const { near } = await pair({ unix: true });
    const sending = [transfer(near, openFile(file)), transfer(near, file), transfer(near, file)].map(failure);
    near.destroy();
    for (const error of await Promise.all(sending)) expect(error).toMatchObject(CLOSED);
  });

  test('in the middle: the peer sees the end, and does not wait for the file', async () => {
    const { near, far } = await pair({ unix: true });
    const sending = failure(transfer(near, openFile(huge)));
    await readBytes(far, 1);
    near.destroy();
    const received = await readAll(far);
    expect(received.length).toBeLessThan(64 << 20);
    expect(received.length).toBe((await sending).bytesSent - 1);
  });

  test('before it has connected', async () => {
    const server = keep(net.createServer());
    const socket = keep(net.connect(await listen(server), '127.0.0.1'));
    const sending = [failure(transfer(socket, openFile(file))), failure(transfer(socket, file))];
    socket.destroy();
    for (const error of await Promise.all(sending)) expect(error).toMatchObject({ ...CLOSED, bytesSent: 0 });
  });

  test('by a connection that is refused', async () => {
    const server = net.createServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    const socket = keep(net.connect(port, '127.0.0.1'));
    const sending = [failure(transfer(socket, openFile(file))), failure(transfer(socket, openFile(file)))];
    socket.on('error', () => {});
    for (const error of await Promise.all(sending)) {
      expect(error).toMatchObject({ ...CLOSED, bytesSent: 0, cause: { code: 'ECONNREFUSED' } });
    }
  });

  test('already', async () => {
    const { near } = await pair();
    near.destroy();
    for (const source of [openFile(file), file]) {
      expect(await failure(transfer(near, source))).toMatchObject({ ...CLOSED, bytesSent: 0 });
    }
  });
});

test('a socket that has been ended takes no transfer, and delivers what it had', async () => {
  const { near, far } = await pair();
  near.end('last');
  for (const source of [openFile(file), file]) {
    expect(await failure(transfer(near, source))).toMatchObject({
      code: 'ERR_STREAM_WRITE_AFTER_END',
      bytesSent: 0,
    });
  }
  expect((await readAll(far)).toString()).toBe('last');
});

test('a socket that is ended while its path opens delivers what it had', async () => {
  const { near, far } = await pair();
  const sending = failure(transfer(near, file));
  near.end('last');
  expect(await sending).toMatchObject({ code: 'ERR_STREAM_WRITE_AFTER_END', bytesSent: 0 });
  expect((await readAll(far)).toString()).toBe('last');
});

describe('a process whose sockets have no error listener', () => {
  const program = (end, after) => `
    const { transfer } = require('.');
    const { socketPair, readBytes } = require('./__test__/helpers');
    const fs = require('node:fs');
    const net = require('node:net');
    (async () => {
      const { near, far } = await socketPair();
      far.on('error', () => {});
      const fd = fs.openSync(${JSON.stringify(huge)});
      const sending = ${after};
      await readBytes(far, 1000);
      ${end};
      await sending;
      if (!near.closed) await new Promise((resolve) => near.once('close', resolve));
      setTimeout(() => console.log('alive'), 50);
    })();
  `;
  const caught = 'transfer(near, fd).catch((error) => console.log(error.code))';
  const endings = {
    'a peer that resets': 'far.resetAndDestroy()',
    'a peer that leaves': 'far.destroy()',
    'a destroyed socket': "near.destroy(new Error('mine'))",
    'a destroyed socket with a second transfer behind':
      "transfer(near, fd).catch(() => {}); near.destroy(new Error('mine'))",
  };
  for (const [name, end] of Object.entries(endings)) {
    test(`does not end by ${name} when the rejection is caught`, async () => {
      const { code, stdout, stderr } = await runInChild(program(end, caught));
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: 'ERR_STREAM_PREMATURE_CLOSE\nalive\n',
        stderr: '',
      });
    });
  }

  test('does not end by an abort or a timeout when the rejection is caught', async () => {
    for (const options of ['{ timeout: 100 }', '{ signal: AbortSignal.timeout(100) }']) {
      const { code, stderr } = await runInChild(
        program('', `transfer(near, fd, ${options}).catch((error) => console.log(error.code))`),
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  test('ends by a rejection that nobody catches, as Node has it', async () => {
    const { code, stdout, stderr } = await runInChild(
      program('far.resetAndDestroy()', 'transfer(near, fd)').replace('await sending;', ''),
    );
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('ERR_STREAM_PREMATURE_CLOSE');
  });

  test('ends by an error of a socket that carries no transfer any more, as Node has it', async () => {
    const { code, stderr } = await runInChild(`
      const { transfer } = require('.');
      const { socketPair } = require('./__test__/helpers');
      (async () => {
        const { near, far } = await socketPair();
        far.resume();
        await transfer(near, ${JSON.stringify(file)});
        near.destroy(new Error('mine'));
      })();
    `);
    expect(code).toBe(1);
    expect(stderr).toContain('mine');
  });
});

describe('nothing is left', () => {
  /** Descriptors of files and sockets. */
  const count = () => [...openFds().values()].filter((what) => /^(\/|socket:|pipe:)/.test(what)).length;

  test('of 200 transfers that were ended in every way', async () => {
    const before = count();
    for (let i = 0; i < 200; i++) {
      const { near, far } = await pair({ unix: true });
      const controller = new AbortController();
      const fd = fs.openSync(file);
      const sending = [fd, file].map((source) =>
        transfer(near, source, { signal: controller.signal, method: i % 2 ? 'auto' : 'copy' }).catch(
          () => {},
        ),
      );
      fs.closeSync(fd);
      if (i % 3) await readBytes(far, 1);
      [() => controller.abort(), () => near.destroy(), () => far.destroy()][i % 3]();
      near.destroy();
      far.destroy();
      await Promise.all(sending);
    }
    closeAll();
    await until(() => count() <= before, `${before} descriptors`);
  });

  test('of paths that are given up while they open', async () => {
    const before = count();
    for (let i = 0; i < 200; i++) {
      const { near, far } = await pair({ unix: true });
      const controller = new AbortController();
      const path = tmpFile('12345');
      const sending = transfer(near, path, { signal: controller.signal }).catch(() => {});
      if (i % 2) controller.abort();
      else near.destroy();
      near.destroy();
      far.destroy();
      await sending;
    }
    closeAll();
    await until(() => count() <= before, `${before} descriptors`);
  });

  test('on the socket of a completed transfer', async () => {
    const { near, far } = await pair({ unix: true });
    far.resume();
    const listeners = () =>
      Object.fromEntries(near.eventNames().map((name) => [String(name), near.listenerCount(name)]));
    const before = listeners();
    await transfer(near, file);
    const once_ = listeners();
    for (const name of Object.keys(once_)) {
      // One on 'close' stays, however many transfers follow.
      expect([name, once_[name]]).toEqual([name, (before[name] ?? 0) + (name === 'close' ? 1 : 0)]);
    }
    for (let i = 0; i < 20; i++)
      await Promise.all([transfer(near, file), transfer(near, openFile(file), { method: 'copy' })]);
    expect(listeners()).toEqual(once_);
  });
});
