'use strict';

/**
 * What a system that is out of something answers, from the kernel's own mouth: a filter of system calls has it refuse
 * this one with that errno. Each in a process of its own.
 */

const { pattern, tmpFile, tmpPath } = require('../helpers');
const { build, withProbes } = require('./probes');

const SIZE = 3_000_000;
const file = tmpFile(pattern(SIZE, 5));

beforeAll(build);

const preamble = `
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const { once } = require('node:events');
const { subscribe } = require('node:diagnostics_channel');
const { FILE, SOCKET } = process.env;
const pollersBefore = pollers();
const { transfer, waitWritable, sendfile } = require('.');
const [poller] = pollers().filter((fd) => !pollersBefore.includes(fd));
const content = fs.readFileSync(FILE);
const told = [];
subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ bytes, method, reason }) => told.push({ bytes, method, reason }));
const failure = (promise) => promise.then((value) => ({ value }), ({ code, bytesSent, syscall }) => ({ code, bytesSent, syscall }));
const refuse = (call, errno, ...when) => probes.refuse(call, when, os.constants.errno[errno]);
const F_DUPFD_CLOEXEC = 1030;
const EPOLL_CTL_ADD = 1;

/** The descriptors that are pollers. */
function pollers() {
  return fs.readdirSync('/proc/self/fd').map(Number).filter((fd) => {
    try {
      return fs.readlinkSync('/proc/self/fd/' + fd) === 'anon_inode:[eventpoll]';
    } catch {
      return false;
    }
  });
}
const countFds = () => fs.readdirSync('/proc/self/fd').length;

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

/** Sends a source with bytes around it: what came of that, and is it whole? */
async function send({ near, far }, source, options = {}) {
  near.cork();
  near.write('before');
  const sending = failure(transfer(near, source, { headers: 'h', trailers: 't', ...options }));
  // A path is queued in a later turn; what follows it waits for it.
  if (typeof source === 'number') near.write('after');
  near.uncork();
  const received = readAll(far).catch(() => Buffer.alloc(0));
  const outcome = await sending;
  if (typeof source !== 'number') near.write('after');
  near.end();
  const wanted = Buffer.concat(['beforeh', content, 'tafter'].map((part) => Buffer.from(part)));
  return { ...outcome, whole: (await received).equals(wanted), told };
}
`;

const refused = (program) =>
  withProbes(`${preamble}${program}`, { env: { FILE: file, SOCKET: tmpPath('socket') } });

const copied = (reason) => ({
  value: SIZE + 2,
  whole: true,
  told: [{ bytes: SIZE + 2, method: 'copy', reason }],
});

describe.each(['ENOSPC', 'ENOMEM'])('no watch for the socket: %s', (errno) => {
  test('the transfer goes on by copying', async () => {
    const answer = await refused(`
      refuse('epoll_ctl', '${errno}', 0, poller, 1, EPOLL_CTL_ADD);
      say(await send(await pair(), fs.openSync(FILE)));
    `);
    expect(answer).toEqual(copied(errno));
  });

  test('waitWritable says so', async () => {
    const answer = await refused(`
      refuse('epoll_ctl', '${errno}', 0, poller, 1, EPOLL_CTL_ADD);
      const { near } = await pair();
      say(await failure(waitWritable(near._handle.fd)));
    `);
    expect(answer).toEqual({ code: errno, syscall: 'poll' });
  });
});

describe.each(['ENFILE', 'EMFILE', 'ENOMEM'])('no duplicate: %s', (errno) => {
  test('of the socket: the transfer goes on by copying', async () => {
    const answer = await refused(`
      const sockets = await pair();
      const fd = fs.openSync(FILE);
      refuse('fcntl', '${errno}', 0, sockets.near._handle.fd, 1, F_DUPFD_CLOEXEC);
      say(await send(sockets, fd));
    `);
    expect(answer).toEqual(copied(errno));
  });

  test('of the file: an error, and nothing is sent', async () => {
    const answer = await refused(`
      const { near, far } = await pair();
      const fd = fs.openSync(FILE);
      refuse('fcntl', '${errno}', 0, fd, 1, F_DUPFD_CLOEXEC);
      const error = await failure(transfer(near, fd));
      const call = await failure(sendfile(near._handle.fd, fd, 0, 10));
      near.end('still usable');
      say({ error, call: call.code, received: String(await readAll(far)) });
    `);
    expect(answer).toEqual({
      error: { code: errno, bytesSent: 0, syscall: 'sendfile' },
      call: errno,
      received: 'still usable',
    });
  });
});

describe.each(['ENFILE', 'EMFILE', 'ENOMEM'])('a path that cannot be opened: %s', (errno) => {
  test('is an error, and the stream goes on', async () => {
    const answer = await refused(`
      const { near, far } = await pair();
      refuse('openat', '${errno}');
      const error = await failure(transfer(near, FILE));
      near.end('still usable');
      say({ error, received: String(await readAll(far)) });
    `);
    expect(answer).toEqual({
      error: { code: errno, bytesSent: 0, syscall: 'open' },
      received: 'still usable',
    });
  });

  test('at once is opened on a thread', async () => {
    const answer = await refused(`
      const { near, far } = await pair();
      const received = readAll(far);
      await transfer(near, FILE, { length: 10 });
      refuse('openat2', '${errno}');
      const sent = await transfer(near, FILE, { length: 10 });
      near.end();
      say({ sent, received: (await received).length });
    `);
    expect(answer).toEqual({ sent: 10, received: 20 });
  });
});

describe.each(['EAGAIN', 'ENOMEM'])('no thread: %s', (errno) => {
  // libuv has its threads already: without them it ends the process.
  const withoutThreads = `
    await Promise.all(Array.from({ length: 8 }, () => fs.promises.stat(FILE)));
    refuse('clone3', '${errno}');
  `;

  test.each(['fs.openSync(FILE)', 'FILE'])('%s is copied and whole', async (source) => {
    const answer = await refused(`${withoutThreads} say(await send(await pair(), ${source}));`);
    // glibc tells of any failure to start a thread as EAGAIN.
    expect(answer).toEqual(copied('EAGAIN'));
  });

  test('for a disk, beside those that wait for sockets: they do it', async () => {
    const answer = await refused(`
      await send(await pair(), fs.openSync(FILE));
      told.length = 0;
      const fd = fs.openSync(FILE);
      fs.fsyncSync(fd);
      execFileSync('dd', ['if=' + FILE, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
      ${withoutThreads}
      say(await send(await pair(), fd));
    `);
    expect(answer).toEqual({
      value: SIZE + 2,
      whole: true,
      told: [{ bytes: SIZE + 2, method: 'sendfile' }],
    });
  });
});

test('no memory for a step: an error with the count, and every descriptor is given back', async () => {
  const answer = await refused(`
    const { near, far } = await pair();
    const fd = fs.openSync(FILE);
    const before = countFds();
    near.on('error', () => {});
    refuse('sendfile', 'ENOMEM');
    const error = await failure(transfer(near, fd));
    far.destroy();
    if (!near.destroyed) await once(near, 'close');
    // A file that nobody has asked the place of before is closed on a thread that may wait for it.
    for (let i = 0; i < 1000 && countFds() > before - 2; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    say({ error, left: countFds() - (before - 2) });
  `);
  expect(answer).toEqual({ error: { code: 'ENOMEM', bytesSent: 0, syscall: 'sendfile' }, left: 0 });
});
