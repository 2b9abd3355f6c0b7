'use strict';

/**
 * Files that cannot be read any more: a bad place on a disk, a file system whose server has gone, one that has fewer
 * bytes than it says. An error with its own name, the right count, and the end of the connection.
 */

const diagnostics = require('node:diagnostics_channel');
const fs = require('node:fs');
const http = require('node:http');
const { transfer } = require('..');
const { openFds, readAll, readBytes, until } = require('./helpers');
const { httpServer } = require('./http-client');
const { describeSlow, mount, slowBytes } = require('./slowfs');
const { closeAll, expectBytes, failure, pair } = require('./streams');
const { methods, onlyBy, reasonOf, told } = require('./ways');

afterEach(closeAll);

const METHODS = methods('sendfile', 'auto', 'copy');

const SIZE = 1 << 20;
const AT = 3 << 17;
/** The kernel's numbers on Linux. */
const ERRNOS = { EIO: 5, EAGAIN: 11, ENOTCONN: 107, ECONNABORTED: 103, ETIMEDOUT: 110, ESTALE: 116 };

const messages = [];
const onMessage = ({ method, reason }) => messages.push({ method, reason });
beforeAll(() => diagnostics.subscribe('tracing:rs-sendfile:transfer:asyncEnd', onMessage));
afterAll(() => diagnostics.unsubscribe('tracing:rs-sendfile:transfer:asyncEnd', onMessage));
beforeEach(() => messages.splice(0));

describeSlow('a file of a file system that fails', () => {
  let mounted;
  beforeAll(async () => {
    mounted = await mount();
  });
  afterAll(() => mounted.unmount());

  /** Sends a file that fails: its error, and what has arrived. */
  async function fails(settings, options) {
    const { near, far } = await pair({ unix: true });
    const received = readAll(far).catch(() => Buffer.alloc(0));
    const error = await failure(transfer(near, mounted.file({ size: SIZE, ...settings }), options));
    expect(near.destroyed).toBe(true);
    return { error, received: await received };
  }

  test.each(Object.keys(ERRNOS))(
    'by %s in the middle: that error, and true bytes up to there',
    async (code) => {
      for (const direct of [0, 1]) {
        for (const method of METHODS) {
          const { error, received } = await fails({ error: ERRNOS[code], at: AT, direct }, { method });
          expect(error.code).toBe(code);
          expect(error.bytesSent).toBeLessThanOrEqual(AT);
          expectBytes(received, slowBytes(error.bytesSent));
          // Once a byte is out, an error is an error.
          expect(error.bytesSent).toBeGreaterThan(0);
          expect(messages.pop()).toEqual({
            method: method === 'auto' ? told.method : method,
            reason: told.reason,
          });
        }
      }
    },
  );

  test.each(Object.keys(ERRNOS))('by %s at its first byte: that error', async (code) => {
    const { error } = await fails({ error: ERRNOS[code], at: 0 });
    expect(error).toMatchObject({ code, bytesSent: 0 });
  });

  test('by having fewer bytes than it says: ERR_SENDFILE_TRUNCATED', async () => {
    for (const direct of [0, 1]) {
      for (const method of METHODS) {
        for (const give of [0, 1, 5_000, AT]) {
          const seed = direct * 3 + METHODS.indexOf(method);
          const { error, received } = await fails({ give, direct, seed }, { method, trailers: 'never' });
          expect(error).toMatchObject({ code: 'ERR_SENDFILE_TRUNCATED', bytesSent: give });
          expectBytes(received, slowBytes(give, seed));
        }
      }
    }
  });

  test('leaves no connection to the next request', async () => {
    let connections = 0;
    const { server, port } = await httpServer(async (req, res) => {
      const file = req.url === '/bad' ? { error: ERRNOS.EIO, at: AT } : { seed: 9 };
      await transfer(res, mounted.file({ size: SIZE, ...file })).then(
        () => res.end(),
        () => {},
      );
    });
    server.on('connection', () => connections++);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (path) =>
      new Promise((resolve) => {
        http
          .get({ host: '127.0.0.1', port, agent, path }, (res) => {
            readAll(res).then(resolve, ({ code }) => resolve(code));
          })
          .on('error', ({ code }) => resolve(code));
      });
    const answers = await Promise.all(['/bad', '/good', '/good', '/bad', '/good'].map(ask));
    agent.destroy();
    expect(answers.map((answer) => (Buffer.isBuffer(answer) ? 'whole' : answer))).toEqual([
      'ECONNRESET',
      'whole',
      'whole',
      'ECONNRESET',
      'whole',
    ]);
    for (const answer of answers.filter(Buffer.isBuffer)) expectBytes(answer, slowBytes(SIZE, 9));
    expect(connections).toBe(3);
  });

  test('whose size reads 0 is read until its end', async () => {
    const { near, far } = await pair();
    const received = readAll(far);
    expect(await transfer(near, mounted.file({ size: 0 }))).toBe(0);
    near.end();
    expect(await received).toHaveLength(0);
    expect(messages.pop()).toEqual({ method: 'copy', reason: reasonOf('unsized') });
  });

  onlyBy(['sendfile'], 'the kernel is not asked')(
    'past the page cache is still sent by the kernel',
    async () => {
      const { near, far } = await pair();
      const received = readAll(far);
      await transfer(near, mounted.file({ size: SIZE, direct: 1 }));
      near.end();
      expectBytes(await received, slowBytes(SIZE));
      expect(messages.pop()).toEqual({ method: 'sendfile', reason: undefined });
    },
  );
});

describeSlow('a file system that goes under a transfer', () => {
  let mounted;
  afterEach(() => mounted.unmount());

  const openBelow = (directory) => [...openFds().values()].filter((name) => name.startsWith(directory));

  /** A transfer whose first bytes are out. */
  async function begin(settings, options) {
    mounted = await mount();
    const { near, far } = await pair({ unix: true });
    const sending = transfer(near, mounted.file({ size: SIZE, ...settings }), options);
    const settled = sending.then(
      (bytes) => ({ bytes }),
      ({ code, bytesSent }) => ({ code, bytesSent }),
    );
    const first = await readBytes(far, 1);
    return { near, far, first, settled };
  }

  test('by being unmounted lazily: the file is still there, and arrives whole', async () => {
    const { near, far, first, settled } = await begin({});
    mounted.detach();
    expect(fs.existsSync(mounted.directory)).toBe(false);
    const received = readAll(far);
    expect(await settled).toEqual({ bytes: SIZE });
    near.end();
    expectBytes(Buffer.concat([first, await received]), slowBytes(SIZE));
  });

  test.each(METHODS.flatMap((method) => [0, 1].map((direct) => [method, direct])))(
    'by its process being killed (%s, direct %i): an error of the file, and a dead connection',
    async (method, direct) => {
      const { near, far, first, settled } = await begin({ direct, read: 20 }, { method });
      await mounted.kill();
      const received = readAll(far);
      const { code, bytesSent } = await settled;
      expect(['EIO', 'ENOTCONN', 'ECONNABORTED']).toContain(code);
      expect(near.destroyed).toBe(true);
      expectBytes(Buffer.concat([first, await received]), slowBytes(SIZE).subarray(0, bytesSent));
      // What is asked for now fails too, and leaves nothing open.
      const next = await pair();
      const error = await failure(transfer(next.near, mounted.file({ size: SIZE, seed: 1 })));
      expect(error).toMatchObject({ code: 'ENOTCONN', bytesSent: 0 });
      expect(next.near.destroyed).toBe(false);
      await until(() => openBelow(mounted.directory).length === 0, 'the files');
    },
  );
});
