'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const { once } = require('node:events');
const { PassThrough } = require('node:stream');
const { transfer } = require('..');
const { httpServer, pattern, readAll, readBytes, request, tmpFile } = require('./helpers');
const { closeAll, failure, openFile, pair, underWay } = require('./streams');
const { onlyBy, reasonOf, told } = require('./ways');

afterEach(closeAll);

const SIZE = 2 << 20;
const file = tmpFile(pattern(SIZE, 51));
const small = tmpFile('small');
const storage = new AsyncLocalStorage();

describe('AsyncLocalStorage', () => {
  const outputs = {
    'a socket': () => pair({ unix: true }),
    'a PassThrough': async () => {
      const near = new PassThrough();
      return { near, far: near };
    },
  };
  for (const [name, open] of Object.entries(outputs)) {
    test(`is each transfer's own after the await and in onProgress: ${name}`, async () => {
      const { near, far } = await open();
      const seen = [];
      const one = async (id, source) => {
        const onProgress = () => seen.push([id, 'progress', storage.getStore()]);
        await transfer(near, source, { onProgress, timeout: 60_000 });
        seen.push([id, 'awaited', storage.getStore()]);
      };
      const sending = [file, small, openFile(file), openFile(small)].map((source, id) =>
        storage.run(id, one, id, source),
      );
      far.resume();
      await Promise.all(sending);
      expect(seen.length).toBeGreaterThanOrEqual(8);
      for (const [id, , store] of seen) expect(store).toBe(id);
    });

    test(`is each transfer's own after a rejection: ${name}`, async () => {
      const { near, far } = await open();
      const seen = [];
      const one = async (id, source) => {
        await transfer(near, source).catch(() => {});
        seen.push([id, storage.getStore()]);
      };
      const sending = [file, openFile(file), '/does/not/exist'].map((source, id) =>
        storage.run(id, one, id, source),
      );
      await readBytes(far, 1);
      near.destroy();
      await Promise.all(sending);
      for (const [id, store] of seen) expect(store).toBe(id);
    });
  }

  test("is the write's own in a write callback behind a transfer", async () => {
    const { near, far } = await pair({ unix: true });
    storage.run('transfer', () => transfer(near, openFile(file)));
    const written = new Promise((resolve) => {
      storage.run('write', () => near.write('after', () => resolve(storage.getStore())));
    });
    far.resume();
    const own = new Promise((resolve) => {
      storage.run('plain', () => near.write('x', () => resolve(storage.getStore())));
    });
    // Node runs a socket's callbacks in the context of the write that has made room: not in a stranger's.
    expect(['write', 'transfer', undefined]).toContain(await written);
    expect(['plain', 'write', 'transfer', undefined]).toContain(await own);
  });

  test("is the last transfer's own in a 'drain' that its end brings about", async () => {
    const { near, far } = await pair({ unix: true });
    const drained = once(near, 'drain');
    let store;
    near.once('drain', () => {
      store = storage.getStore();
    });
    for (const id of ['one', 'two']) storage.run(id, () => transfer(near, openFile(file)));
    far.resume();
    await drained;
    expect(store).toBe('two');
  });

  test("never is another request's in the handlers of 200 concurrent requests", async () => {
    const wrong = [];
    const look = (id, where) => {
      if (storage.getStore() !== id) wrong.push([id, where, storage.getStore()]);
    };
    let id = 0;
    const { port, close } = await httpServer((_req, res) => {
      const own = ++id;
      storage.run(own, async () => {
        res.on('finish', () => look(own, 'finish'));
        await transfer(res, own % 2 ? file : small, { onProgress: () => look(own, 'progress') });
        look(own, 'awaited');
        await new Promise(setImmediate);
        look(own, 'a turn later');
        res.end();
      });
    });
    for (let i = 0; i < 10; i++) {
      await Promise.all(Array.from({ length: 20 }, () => request(port)));
    }
    expect(id).toBe(200);
    // 'finish' comes in the context of the last write, which is the response's own.
    expect(wrong).toEqual([]);
    await close();
  });
});

describe('diagnostics', () => {
  const names = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];
  /** All that is said while `run` runs. */
  async function listen(run) {
    const said = [];
    const listeners = names.map((name) => {
      const hear = (message) => said.push({ name, message, ...message });
      diagnostics.subscribe(`tracing:rs-sendfile:transfer:${name}`, hear);
      return [name, hear];
    });
    await run();
    for (const [name, hear] of listeners)
      diagnostics.unsubscribe(`tracing:rs-sendfile:transfer:${name}`, hear);
    return said;
  }

  test('tell of a transfer: what was asked, and what came of it', async () => {
    const { near, far } = await pair({ unix: true });
    const said = await listen(async () => {
      const sending = transfer(near, file, { offset: 1, length: SIZE - 1, headers: '123' });
      far.resume();
      await sending;
    });
    expect(said.map(({ name }) => name)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(said[0]).toMatchObject({ out: near, file, offset: 1, length: SIZE - 1 });
    expect(new Set(said.map(({ message }) => message)).size).toBe(1);
    const { bytes, method, reason, duration, error } = said[3];
    expect({ bytes, method, reason, error }).toEqual({ bytes: SIZE + 2, ...told, error: undefined });
    expect(duration).toBeGreaterThan(0);
  });

  const native = onlyBy(['sendfile', 'copy'], 'nothing is called and waited for on the native side');
  native('tell of the calls that a large transfer took, and of the times that it waited', async () => {
    const { near, far } = await pair({ unix: true });
    const said = await listen(async () => {
      const sending = transfer(near, openFile(file));
      await underWay(near);
      far.resume();
      await sending;
    });
    expect(said[3].calls).toBeGreaterThan(1);
    expect(said[3].waits).toBeGreaterThan(0);
  });

  native('tell of a small transfer that one call has sent', async () => {
    const { near } = await pair();
    const said = await listen(() => transfer(near, openFile(small)));
    expect(said.at(-1)).toMatchObject({ bytes: 5, calls: 1, waits: 0 });
    // Read and written at once, where the file system tells what of it is in memory.
    const { method, reason } = said.at(-1);
    expect([told, { method: 'copy', reason: 'preferred' }]).toContainEqual({ method, reason });
  });

  test('show how far a transfer under way has come, with its progress', async () => {
    const { near, far } = await pair({ unix: true });
    let message;
    const onStart = (it) => {
      message = it;
    };
    diagnostics.subscribe('tracing:rs-sendfile:transfer:start', onStart);
    let tell;
    const progress = new Promise((resolve) => {
      tell = resolve;
    });
    const sending = transfer(near, openFile(file), {
      onProgress: (bytes) => tell({ bytes, seen: { ...message } }),
    });
    diagnostics.unsubscribe('tracing:rs-sendfile:transfer:start', onStart);
    // Of an fd the way is known at once.
    expect(message).toMatchObject({ bytes: expect.any(Number), ...told });
    const { bytes, seen } = await progress;
    expect(bytes).toBeLessThan(SIZE);
    expect(seen).toMatchObject({ bytes, ...told });
    expect(seen.duration).toBeUndefined();
    far.resume();
    await sending;
  });

  native('tell of the waits of one that is left while it waits', async () => {
    const { near } = await pair({ unix: true });
    const said = await listen(async () => {
      const sending = failure(transfer(near, openFile(file)));
      await underWay(near);
      near.destroy();
      await sending;
    });
    expect(said.at(-1)).toMatchObject({ error: { code: 'ERR_STREAM_PREMATURE_CLOSE' } });
    expect(said.at(-1).waits).toBeGreaterThan(0);
  });

  test('tell of an error', async () => {
    const { near } = await pair();
    const said = await listen(() => failure(transfer(near, '/does/not/exist')));
    expect(said.map(({ name }) => name)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
    expect(said[2]).toMatchObject({ bytes: 0, error: { code: 'ENOENT' } });
  });

  test('tell why bytes are copied', async () => {
    const near = new PassThrough().resume();
    const said = await listen(() => transfer(near, small));
    expect(said.at(-1)).toMatchObject({ bytes: 5, method: 'copy', reason: reasonOf('not a plain socket') });
    const { near: socket } = await pair();
    const unsized = await listen(() => transfer(socket, '/proc/self/stat'));
    expect(unsized.at(-1)).toMatchObject({ method: 'copy', reason: reasonOf('unsized') });
  });

  test('tell nothing to those who came after the call', async () => {
    const { near, far } = await pair({ unix: true });
    const sending = transfer(near, openFile(file));
    const said = await listen(async () => {
      far.resume();
      await sending;
    });
    expect(said).toEqual([]);
  });
});

describe('what throws in code of the caller is heard by the process, and the promise settles', () => {
  /** Runs `body` in a process of its own, with a pair of sockets, `SENDING` a transfer, and `heard` of the process. */
  async function run(body) {
    const { runInChild } = require('./helpers');
    const { code, stdout, stderr } = await runInChild(`
      const { once } = require('node:events');
      const fs = require('node:fs');
      const { transfer } = require('.');
      const { socketPair } = require('./__test__/helpers');
      /** The next thing that the process hears of. */
      const heard = async () => (await once(process, 'uncaughtException'))[0].message;
      (async () => {
        const { near, far } = await socketPair({ unix: true });
        const begin = () => transfer(near, fs.openSync(${JSON.stringify(file)}));
        ${body}
        near.destroy();
      })();
    `);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  }

  test("a listener of 'drain'", async () => {
    const said = await run(`
      near.on('drain', () => { throw new Error('drain'); });
      const sending = begin();
      far.resume();
      console.log(JSON.stringify(await Promise.all([heard(), sending])));
    `);
    expect(said).toEqual(['drain', SIZE]);
  });

  // One after the other: Node itself never emits 'finish' if a callback throws behind an 'end' that waits for it.
  test("the callback of a write behind it, then a listener of 'finish'", async () => {
    const said = await run(`
      near.on('finish', () => { throw new Error('finish'); });
      const sending = begin();
      near.write('x', () => { throw new Error('write'); });
      far.resume();
      const said = await Promise.all([heard(), sending]);
      near.end();
      said.push(await heard());
      console.log(JSON.stringify(said));
    `);
    expect(said).toEqual(['write', SIZE, 'finish']);
  });
});

test('a transfer keeps its context through the sockets of others', async () => {
  const pairs = await Promise.all(Array.from({ length: 20 }, () => pair({ unix: true })));
  const seen = await Promise.all(
    pairs.map(({ near, far }, id) =>
      storage.run(id, async () => {
        const received = storage.exit(() => readAll(far));
        await transfer(near, id % 2 ? file : openFile(file));
        const store = storage.getStore();
        near.end();
        await received;
        return store;
      }),
    ),
  );
  expect(seen).toEqual(pairs.map((_, id) => id));
});
