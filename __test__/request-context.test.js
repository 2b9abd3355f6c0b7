'use strict';

/**
 * AsyncLocalStorage on a connection that serves one request after another: whatever is called back around a transfer is
 * called in its own request's context, by whichever way the bytes go.
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const fs = require('node:fs');
const { transfer } = require('..');
const { pattern, tmpFile, until } = require('./helpers');
const { connect, httpServer, paces } = require('./http-client');
const { openFile, closeAll } = require('./streams');

afterEach(closeAll);

const storage = new AsyncLocalStorage();
const small = tmpFile(pattern(30_000, 71));
const large = tmpFile(pattern(6 << 20, 72));
const turn = () => new Promise(setImmediate);

/** The ways of the bytes. */
const ways = {
  'method auto': () => ({}),
  'method copy': () => ({ method: 'copy' }),
  'a response with a patched write': (res) => {
    const { write } = res;
    res.write = (...given) => write.apply(res, given);
    return {};
  },
  'nothing asked for': () => undefined,
};

const files = {
  'a small path': () => small,
  'a small fd': () => openFile(small),
  'a large path': () => large,
  'a large fd': () => openFile(large),
  'a path that is met for the first time': () => {
    const path = tmpFile('');
    fs.unlinkSync(path);
    fs.linkSync(large, path);
    return path;
  },
};

/** What is called back around a transfer that arrives: each tells where it is by `note`. */
async function arrive(res, file, options, note) {
  res.setHeader('Content-Length', res.expected + 11);
  for (const event of ['drain', 'prefinish', 'finish', 'close']) res.on(event, note(event));
  res.write('before', note('the write before'));
  const controller = new AbortController();
  controller.signal.addEventListener('abort', note('abort'));
  const watched = { signal: controller.signal, timeout: 60_000, onProgress: note('progress') };
  await transfer(res, file, options && { ...options, ...watched });
  note('awaited')();
  controller.abort();
  res.write('after', note('the write after'));
  await turn();
  note('a turn later')();
  res.endsWaiting = !res.socket;
  res.end(note('end'));
}

/**
 * Node itself calls these back in the context of whoever has made room for them: behind another response that is the
 * other's. So is the end of one that was ended before it had its turn.
 */
const ROOM = ['drain', 'the write before', 'the write after'];
const END = ['prefinish', 'end', 'finish', 'close'];
const isNodesOwn = (res, where) => ROOM.includes(where) || (res.endsWaiting && END.includes(where));

/** What was called back in another context than its own. */
const strays = (seen) => seen.filter(([id, , store]) => id !== store);

describe.each(Object.entries(ways))('%s', (_way, optionsOf) => {
  test.each(Object.entries(files))(
    'six requests of one connection, one after the other and at once: %s',
    async (_name, file) => {
      const seen = [];
      let id = 0;
      let closed = 0;
      const { port } = await httpServer((req, res) => {
        // With the head of a connection's first response out already, nobody could tell its body's length.
        if (req.url === '/first') return void transfer(res, small).then(() => res.end());
        const request = ++id;
        const queued = req.url === '/queued';
        const note = (where) => () => {
          if (where === 'close') closed++;
          if (!queued || !isNodesOwn(res, where)) seen.push([request, where, storage.getStore()]);
        };
        const source = file();
        res.expected = typeof source === 'number' ? fs.fstatSync(source).size : fs.statSync(source).size;
        storage
          .run(request, () => arrive(res, source, optionsOf(res), note))
          .catch((error) => seen.push([request, error]));
      });
      for (const pace of [paces.fast(), paces.slow()]) {
        const client = connect(port, pace);
        for (const target of ['/first', '/', '/', '/']) {
          client.send(target);
          await client.response();
        }
        for (let i = 0; i < 3; i++) client.send('/queued');
        for (let i = 0; i < 3; i++) await client.response();
      }
      await until(() => closed === 12, "'close' of each");
      expect(strays(seen)).toEqual([]);
      const where = new Set(seen.map(([, place]) => place));
      for (const place of [
        'the write before',
        'the write after',
        ...(optionsOf({}) ? ['progress'] : []),
        'awaited',
        'a turn later',
        'end',
        'finish',
        'close',
      ]) {
        expect(where).toContain(place);
      }
    },
  );

  test('requests whose transfers are ended from outside', async () => {
    const seen = [];
    const aborts = [];
    let id = 0;
    const { port } = await httpServer((req, res) => {
      const request = ++id;
      const note = (where) => () => void seen.push([request, where, storage.getStore()]);
      storage.run(request, async () => {
        res.on('close', note('close'));
        res.on('error', note('error'));
        const controller = new AbortController();
        controller.signal.addEventListener('abort', note('abort'));
        const sending = transfer(res, openFile(large), { ...optionsOf(res), signal: controller.signal });
        if (req.url === '/abort') aborts.push(() => storage.run(request, () => controller.abort()));
        await sending.catch(note('rejected'));
        note('after it')();
      });
    });
    const clients = ['/abort', '/leave', '/abort', '/leave'].map((target) => {
      const client = connect(port);
      client.send(target);
      return client;
    });
    await until(() => id === 4, 'four requests');
    for (const client of clients) await client.fill();
    for (const abort of aborts) abort();
    clients[1].destroy();
    clients[3].destroy();
    // A step that a thread is in the middle of is over only then, which may be after 'close'.
    for (const what of ['close', 'rejected', 'after it'])
      await until(() => seen.filter(([, where]) => where === what).length === 4, `'${what}' of each`);
    await turn();
    expect(seen.filter(([, where]) => where === 'rejected')).toHaveLength(4);
    // A connection that closes is nobody's: Node tells of it outside of any request.
    const isNobodys = ([, where, store]) => where === 'close' && store === undefined;
    expect(strays(seen).filter((one) => !isNobodys(one))).toEqual([]);
  });

  test('subscribers of the diagnostics channels', async () => {
    const seen = [];
    const ids = new Map();
    const channels = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => {
      const hear = ({ out }) => seen.push([ids.get(out), name, storage.getStore()]);
      diagnostics.subscribe(`tracing:rs-sendfile:transfer:${name}`, hear);
      return [`tracing:rs-sendfile:transfer:${name}`, hear];
    });
    const { port } = await httpServer((req, res) => {
      ids.set(res, ids.size + 1);
      storage.run(ids.get(res), async () => {
        const source = { '/large': large, '/small': small, '/missing': '/does/not/exist' }[req.url];
        await transfer(res, source, optionsOf(res)).catch(() => {});
        res.end();
      });
    });
    const client = connect(port);
    for (const target of ['/large', '/missing', '/small', '/large']) client.send(target);
    for (let i = 0; i < 4; i++) await client.response();
    const ends = () => seen.filter(([, name]) => name === 'asyncEnd');
    await until(() => ends().length === 4, 'the end of each');
    for (const [name, hear] of channels) diagnostics.unsubscribe(name, hear);
    expect(strays(seen)).toEqual([]);
  });
});

test('a subscriber hears of a transfer that is aborted from elsewhere, before its turn, in the context of its call', async () => {
  const { port } = await httpServer((_, res) => transfer(res, small).then(() => res.end()));
  const client = connect(port);
  client.send('/');
  await client.response();
  const seen = [];
  const hear = () => seen.push(storage.getStore());
  diagnostics.subscribe('tracing:rs-sendfile:transfer:asyncEnd', hear);
  const controller = new AbortController();
  const sending = storage.run('the call', () =>
    transfer(client.socket, small, { signal: controller.signal }),
  );
  storage.run('elsewhere', () => controller.abort());
  await expect(sending).rejects.toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
  diagnostics.unsubscribe('tracing:rs-sendfile:transfer:asyncEnd', hear);
  expect(seen).toEqual(['the call']);
});
