'use strict';

/**
 * How many descriptors a waiting transfer holds; and what happens when the process has none left: each in a process that
 * may have few, with all of them taken.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { Socket } = require('node:net');
const { transfer } = require('..');
const { openFds, pattern, readAll, root, runInChild, tmpFile, tmpPath, until } = require('./helpers');
const { closeAll, failure, openFile, pair, underWay } = require('./streams');
const { nodeOptions, onlyBy, reasonOf } = require('./ways');

const SIZE = 2_000_000;
const file = tmpFile(pattern(SIZE, 3));

const preamble = `
const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const { subscribe } = require('node:diagnostics_channel');
const { FILE, SOCKET } = process.env;
const content = fs.readFileSync(FILE);
const told = [];
subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ bytes, method, reason }) => told.push({ bytes, method, reason }));
const failure = (promise) => promise.then(() => 'none', ({ code, bytesSent }) => ({ code, bytesSent }));

async function pair() {
  const server = net.createServer().listen(SOCKET);
  await once(server, 'listening');
  const far = net.connect(SOCKET).pause();
  const [near] = await once(server, 'connection');
  server.close();
  return { near, far };
}

async function readAll(far) {
  const chunks = [];
  for await (const chunk of far) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Takes every descriptor but so many; returns how to give them back. */
function take(left) {
  const taken = [];
  try {
    for (;;) taken.push(fs.openSync('/dev/null'));
  } catch (error) {
    if (error.code !== 'EMFILE') throw error;
  }
  for (let i = 0; i < left; i++) fs.closeSync(taken.pop());
  return () => taken.splice(0).forEach((fd) => fs.closeSync(fd));
}

const say = (answer) => console.log(JSON.stringify(answer));
`;

const loaded = "const { transfer } = require('.');";

/** Runs a program in a process of at most 64 descriptors, and parses what it says. */
async function withFew(program, begin = loaded) {
  const script = `${preamble}${begin}(async () => {${program}})().catch((error) => { console.error(error); process.exit(1); });`;
  const child = spawn('/bin/sh', ['-c', 'ulimit -n 64; exec "$0" -e "$1"', process.execPath, script], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: nodeOptions, FILE: file, SOCKET: tmpPath('socket') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const [stdout, stderr, [code]] = await Promise.all([
    readAll(child.stdout),
    readAll(child.stderr),
    once(child, 'close'),
  ]);
  clearTimeout(timer);
  expect({ code, stderr: stderr.toString() }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout.toString());
}

describe('a transfer that waits for its reader holds', () => {
  afterEach(closeAll);

  /** Descriptors that are there only while it waits, by what they are. */
  async function held(source, { patched = false, ...options } = {}) {
    const { near } = await pair({ unix: true });
    if (patched) near.write = (...args) => Socket.prototype.write.apply(near, args);
    const before = openFds();
    const sending = failure(transfer(near, source, options));
    await underWay(near);
    const during = [...openFds()].filter(([fd]) => !before.has(fd)).map(([, name]) => name);
    near.destroy();
    await sending;
    await until(() => [...openFds().keys()].every((fd) => before.has(fd)), 'no descriptor of it');
    return during.map((name) => name.replace(/:.*/, '').replace(file, 'file')).sort();
  }

  const both = ['file', 'socket'];

  const inJs = { patched: true };
  const native = onlyBy(['sendfile', 'copy'], 'JS needs no duplicate');
  native('two: its file and a duplicate of its socket', () => expectHeld({}, both));
  native('two, if the bytes are read and written natively', () => expectHeld({ method: 'copy' }, both));
  test('one, if they are copied in JS', () => expectHeld(inJs, ['file']));

  async function expectHeld(options, wanted) {
    // Once before, so that what is opened for all of them is there.
    await held(file, options);
    expect(await held(file, options)).toEqual(wanted);
    expect(await held(openFile(file), options)).toEqual(wanted);
  }
});

describe('with one descriptor left, which the file takes', () => {
  test('a transfer goes on by copying and arrives whole, in order with the writes around it', async () => {
    const answer = await withFew(`
      const { near, far } = await pair();
      const fd = fs.openSync(FILE);
      const giveBack = take(1);
      near.cork();
      near.write('before');
      const sending = transfer(near, fd, { headers: 'h', trailers: ['t', 't'] });
      near.end('after');
      near.uncork();
      const received = await readAll(far);
      const wanted = Buffer.concat(['beforeh', content, 'ttafter'].map((part) => Buffer.from(part)));
      giveBack();
      say({ sent: await sending, whole: received.equals(wanted), told, written: near.bytesWritten });
    `);
    expect(answer).toEqual({
      sent: SIZE + 3,
      whole: true,
      told: [{ bytes: SIZE + 3, method: 'copy', reason: reasonOf('EMFILE') }],
      written: SIZE + 3 + 11,
    });
  });

  test('its abort ends the connection', async () => {
    const answer = await withFew(`
      const { near, far } = await pair();
      const fd = fs.openSync(FILE);
      const giveBack = take(1);
      const controller = new AbortController();
      const sending = failure(transfer(near, fd, { signal: controller.signal, onProgress: () => controller.abort() }));
      const error = await sending;
      giveBack();
      const received = await readAll(far).catch(() => Buffer.alloc(0));
      say({
        code: error.code,
        counted: error.bytesSent > 0 && error.bytesSent < content.length,
        prefix: received.equals(content.subarray(0, received.length)),
        destroyed: near.destroyed,
      });
    `);
    expect(answer).toEqual({ code: 'ABORT_ERR', counted: true, prefix: true, destroyed: true });
  });

  test('its reader’s leaving ends it', async () => {
    const answer = await withFew(`
      const { near, far } = await pair();
      const fd = fs.openSync(FILE);
      const giveBack = take(1);
      const sending = failure(transfer(near, fd));
      far.once('data', () => far.destroy()).resume();
      const { code } = await sending;
      giveBack();
      say({ code });
    `);
    expect(answer).toEqual({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
  });
});

test('with none left a transfer is EMFILE, sends nothing, and works again once there are some', async () => {
  const answer = await withFew(`
    const { near, far } = await pair();
    const fd = fs.openSync(FILE);
    const giveBack = take(0);
    const errors = [await failure(transfer(near, fd)), await failure(transfer(near, FILE))];
    giveBack();
    const received = readAll(far);
    await transfer(near, fd, { length: 100 });
    await transfer(near, FILE, { length: 50 });
    near.end();
    const wanted = Buffer.concat([content.subarray(0, 100), content.subarray(0, 50)]);
    say({ errors, whole: (await received).equals(wanted) });
  `);
  expect(answer).toEqual({
    errors: [
      { code: 'EMFILE', bytesSent: 0 },
      { code: 'EMFILE', bytesSent: 0 },
    ],
    whole: true,
  });
});

test('a transfer that was ended while its read waits for a thread takes nothing from who gets its descriptor', async () => {
  const { stdout, stderr, code } = await runInChild(
    `
    const fs = require('node:fs');
    const { once } = require('node:events');
    const { PassThrough } = require('node:stream');
    const { transfer } = require('.');
    const { openFifo, until } = require('./__test__/helpers');
    const { O_RDONLY, O_NONBLOCK, O_RDWR } = fs.constants;
    (async () => {
      const source = openFifo();
      const reader = fs.openSync(source.path, O_RDONLY | O_NONBLOCK);
      fs.writeSync(source.fd, 'source');
      const others = Array.from({ length: 8 }, openFifo);
      // The only thread is busy until somebody writes here.
      const busy = openFifo();
      const blocked = fs.openSync(busy.path, O_RDWR);
      const freed = new Promise((resolve) => fs.read(blocked, Buffer.alloc(1), 0, 1, null, resolve));
      const controller = new AbortController();
      const sending = transfer(new PassThrough(), reader, { signal: controller.signal });
      await new Promise(setImmediate);
      controller.abort();
      const { code } = await sending.catch((error) => error);
      // Whoever opens now may get the number that it had.
      const mine = others.map(({ path }) => fs.openSync(path, O_RDWR | O_NONBLOCK));
      for (const fd of mine) fs.writeSync(fd, 'mine');
      fs.writeSync(busy.fd, '!');
      await freed;
      await fs.promises.stat('.');
      await fs.promises.stat('.');
      const left = mine.map((fd) => {
        const buffer = Buffer.alloc(10);
        try {
          return buffer.toString('latin1', 0, fs.readSync(fd, buffer, 0, 10, null));
        } catch (error) {
          return error.code;
        }
      });
      console.log(JSON.stringify({ code, left }));
    })();
    `,
    { env: { UV_THREADPOOL_SIZE: '1' } },
  );
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(JSON.parse(stdout)).toEqual({ code: 'ABORT_ERR', left: Array(8).fill('mine') });
});

onlyBy(['sendfile'], 'it copies anyhow')(
  'loaded with too few left for its poller, it copies, and sends once there are some',
  async () => {
    const answer = await withFew(
      `
    const sockets = [await pair(), await pair()];
    const fd = fs.openSync(FILE);
    const giveBack = take(1);
    const { transfer } = require('.');
    const whole = [];
    for (const { near, far } of sockets) {
      const received = readAll(far);
      await transfer(near, fd);
      near.end();
      whole.push((await received).equals(content));
      giveBack();
    }
    say({ whole, told });
    `,
      '',
    );
    expect(answer).toEqual({
      whole: [true, true],
      told: [
        { bytes: SIZE, method: 'copy', reason: 'EMFILE' },
        { bytes: SIZE, method: 'sendfile' },
      ],
    });
  },
);
