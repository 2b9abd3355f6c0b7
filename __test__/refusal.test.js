'use strict';

/**
 * Kernels, file systems and sandboxes that say no: transfers arrive whole all the same, and tell why they took the other
 * way. The call tells the refusal itself.
 */

const diagnostics = require('node:diagnostics_channel');
const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const { sendfileSync, transfer } = require('..');
const { fdOf, listen, openFifo, tmpPath } = require('./helpers');
const { describeDenied, runDenied } = require('./slowfs');
const { closeAll, expectBytes, failure, keep, openFile, pair, through } = require('./streams');
const { onlyBy, reasonOf } = require('./ways');

const asksTheKernel = onlyBy(['sendfile'], 'the kernel is not asked');

afterEach(closeAll);

const messages = [];
const onMessage = ({ method, reason }) => messages.push({ method, reason });
beforeAll(() => diagnostics.subscribe('tracing:rs-sendfile:transfer:asyncEnd', onMessage));
afterAll(() => diagnostics.unsubscribe('tracing:rs-sendfile:transfer:asyncEnd', onMessage));
beforeEach(() => messages.splice(0));

/** Files that have a size, and that Linux does not send: made anew for each reader, not kept in memory. */
const unsendable = ['/proc/config.gz', '/proc/bus/pci/00/00.0'].filter((file) => fs.existsSync(file));
if (unsendable.length === 0) {
  console.error(`rs-sendfile: ${process.platform} has no file here that its kernel refuses to send`);
}

(unsendable.length > 0 ? describe : describe.skip)('a file that the kernel refuses to send', () => {
  test.each(unsendable)('%s: the call fails with EINVAL', async (file) => {
    const { near } = await pair();
    const fd = openFile(file);
    expect(() => sendfileSync(fdOf(near), fd, 0, 10)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test.each(unsendable)('%s: a transfer copies it, since its size is made up', async (file) => {
    const content = fs.readFileSync(file);
    const options = { headers: 'head', trailers: 'tail' };
    const { result, received } = await through((near) => transfer(near, openFile(file), options));
    expectBytes(received, Buffer.concat([Buffer.from('head'), content, Buffer.from('tail')]));
    expect(result).toBe(content.length + 8);
    expect(messages).toEqual([{ method: 'copy', reason: reasonOf('unsized') }]);
  });

  test.each(unsendable)("%s: method 'sendfile' is ENOTSUP", async (file) => {
    const { near } = await pair();
    const sending = failure(transfer(near, openFile(file), { method: 'sendfile' }));
    expect(await sending).toMatchObject({ code: 'ENOTSUP', bytesSent: 0 });
  });
});

describe('a source whose size says nothing', () => {
  const kinds = {
    'a file of /proc by path': () => '/proc/version',
    'a file of /proc by fd': () => openFile('/proc/version'),
    'a file of /proc that the kernel refuses': () => openFile('/proc/self/status'),
    'a pipe': () => {
      const { fd, path } = openFifo();
      keep(fd);
      const reading = keep(fs.openSync(path, 'r'));
      fs.writeSync(fd, 'from the pipe');
      fs.closeSync(fd);
      return reading;
    },
  };

  test.each(Object.keys(kinds))('%s is copied until its end, and says why', async (name) => {
    const { received } = await through((near) => transfer(near, kinds[name]()));
    expect(received.toString()).toMatch(/^(Linux version|Name:|from the pipe)/);
    expect(messages).toEqual([{ method: 'copy', reason: reasonOf('unsized') }]);
  });

  test('a socket is copied until its end, and says why', async () => {
    const server = keep(net.createServer((socket) => socket.end('from the socket')));
    const socket = keep(net.connect(await listen(server, { path: tmpPath('socket') })));
    socket.pause();
    await once(socket, 'connect');
    const { received } = await through((near) => transfer(near, fdOf(socket)));
    expect(received.toString()).toBe('from the socket');
    expect(messages).toEqual([{ method: 'copy', reason: reasonOf('unsized') }]);
  });
});

describeDenied('a sandbox', () => {
  /** Sends a file small and large, by path and by fd, to sockets and responses, and tells how each went. */
  const program = `
    const fs = require('node:fs');
    const http = require('node:http');
    const { subscribe } = require('node:diagnostics_channel');
    const { sendfileSync, transfer } = require('.');
    const { fdOf, httpServer, pattern, readAll, request, socketPair, tmpFile } = require('./__test__/helpers');
    const told = new Set();
    subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ method, reason }) => told.add(method + ' ' + reason));
    (async () => {
      let right = 0;
      let call;
      for (const size of [0, 1, 5000, 70_000, 300_000, 3_000_000]) {
        const content = pattern(size, size + 1);
        const file = tmpFile(content);
        const fd = fs.openSync(file);
        for (const source of [file, file, fd]) {
          const { near, far } = await socketPair({ unix: true });
          const received = readAll(far);
          const sent = await transfer(near, source, { headers: 'head', trailers: 'tail' });
          near.end();
          const wanted = Buffer.concat([Buffer.from('head'), content, Buffer.from('tail')]);
          if (sent === size + 8 && (await received).equals(wanted)) right++;
          const { port, close } = await httpServer(async (req, res) => {
            await transfer(res, source);
            res.end();
          });
          if ((await request(port)).body.equals(content)) right++;
          await close();
        }
        const { near, far } = await socketPair();
        try {
          call = 'sent ' + sendfileSync(fdOf(near), fd, 0, size);
        } catch ({ code }) {
          call = code;
        }
        near.destroy();
        far.destroy();
        fs.closeSync(fd);
      }
      console.log(JSON.stringify({ right, call, told: [...told].sort() }));
    })();
  `;
  const RIGHT = 6 * 3 * 2;

  asksTheKernel.each([['EPERM'], ['ENOSYS'], ['EOPNOTSUPP']])(
    'that refuses sendfile with %s',
    async (errno) => {
      const { stdout, stderr } = await runDenied({ sendfile: errno }, program);
      expect(stderr).toBe('');
      const code = errno === 'EOPNOTSUPP' ? expect.stringMatching(/^(EOPNOTSUPP|ENOTSUP)$/) : errno;
      const told = JSON.parse(stdout);
      expect(told).toMatchObject({ right: RIGHT, call: code });
      // An empty file is no bytes to refuse, and a small one is not asked for.
      const others = ['sendfile undefined', 'copy preferred'];
      const reasons = told.told.filter((text) => !others.includes(text));
      expect(reasons).toEqual([expect.stringMatching(/^copy (EPERM|ENOSYS|EOPNOTSUPP|ENOTSUP)$/)]);
      expect(reasons[0].slice(5)).toBe(told.call);
    },
  );

  const questions = ['cachestat', 'preadv2', 'openat2', 'statx'];
  const each = questions.map((call) => [call, { [call]: 'EPERM' }]);
  const all = Object.fromEntries(questions.map((call) => [call, 'ENOSYS']));
  test.each([...each, ['all of these', all]])('that refuses %s', async (_name, denied) => {
    const { stdout, stderr } = await runDenied(denied, program);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ right: RIGHT, call: expect.stringMatching(/^sent \d{4}/) });
  });

  test('that refuses all of these and sendfile', async () => {
    const { stdout, stderr } = await runDenied({ ...all, sendfile: 'EPERM' }, program);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ right: RIGHT, call: 'EPERM' });
  });
});
