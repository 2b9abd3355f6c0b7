'use strict';

/**
 * What happens when the system starts no thread any more: each in a process that has reached its user's limit.
 * libuv has its own by then, as in a server that has been running for a while: without them Node itself ends.
 */

const { pattern, runInChild, tmpFile, tmpPath } = require('./helpers');
const { onlyBy, reasonOf } = require('./ways');

const SIZE = 2_000_000;
const file = tmpFile(pattern(SIZE, 4));

const preamble = `
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { subscribe } = require('node:diagnostics_channel');
const { Worker } = require('node:worker_threads');
const { transfer, waitWritable } = require('.');
const { FILE, SOCKET } = process.env;
const NOBODY = 65534;
const content = fs.readFileSync(FILE);
const told = [];
subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ method, reason }) => told.push({ method, reason }));
const failure = (promise) => promise.then(() => 'none', ({ code, syscall }) => ({ code, syscall }));

/** From here on there is no further thread, for this user at least: root would not be bound. */
async function noThreads() {
  await Promise.all(Array.from({ length: 8 }, () => fs.promises.stat(FILE)));
  execFileSync('prlimit', ['--pid', process.pid, '--nproc=1:1']);
  if (process.getuid() === 0) {
    fs.chmodSync(path.dirname(FILE), 0o755);
    process.setgroups([]);
    process.setgid(NOBODY);
    process.setuid(NOBODY);
  }
}

/** Is it so? Node says it by a worker that does not begin. */
function threadIsRefused() {
  try {
    new Worker('', { eval: true });
    return false;
  } catch (error) {
    return error.code === 'ERR_WORKER_INIT_FAILED';
  }
}

async function pair() {
  const server = net.createServer().listen(SOCKET);
  await once(server, 'listening');
  const far = net.connect(SOCKET).pause();
  const [near] = await once(server, 'connection');
  server.close();
  return { near, far };
}

async function send({ near, far }, source) {
  const sending = transfer(near, source);
  const received = (async () => {
    const chunks = [];
    for await (const chunk of far) chunks.push(chunk);
    return Buffer.concat(chunks);
  })();
  const sent = await sending;
  near.end();
  return { sent, whole: (await received).equals(content) };
}
const say = (answer) => console.log(JSON.stringify(answer));
`;

async function alone(program) {
  const { code, signal, stdout, stderr } = await runInChild(
    `${preamble}(async () => {${program}})().then(() => process.exit(), (error) => { console.error(error); process.exit(1); });`,
    { env: { FILE: file, SOCKET: tmpPath('socket') } },
  );
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
}

test.each([
  ['an fd', 'fd'],
  ['a path', 'FILE'],
])('%s is copied, with the reason, and whole', async (_, source) => {
  const answer = await alone(`
    const fd = fs.openSync(FILE);
    const sockets = await pair();
    await noThreads();
    say({ refused: threadIsRefused(), ...(await send(sockets, ${source})), told });
  `);
  expect(answer).toEqual({
    refused: true,
    sent: SIZE,
    whole: true,
    told: [{ method: 'copy', reason: reasonOf('EAGAIN') }],
  });
});

test('waitWritable says so', async () => {
  const answer = await alone(`
    const { near } = await pair();
    await noThreads();
    say(await failure(waitWritable(near._handle.fd)));
  `);
  expect(answer).toEqual({ code: 'EAGAIN', syscall: 'poll' });
});

onlyBy(['sendfile'], 'nobody waits for a socket, or none by sendfile')(
  'with threads that wait for sockets and none for disks, those read the disk too',
  async () => {
    const answer = await alone(`
    const fd = fs.openSync(FILE);
    await send(await pair(), fd);
    told.length = 0;
    const sockets = await pair();
    fs.fsyncSync(fd);
    execFileSync('dd', ['if=' + FILE, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
    await noThreads();
    say({ refused: threadIsRefused(), ...(await send(sockets, fd)), told });
  `);
    expect(answer).toEqual({ refused: true, sent: SIZE, whole: true, told: [{ method: 'sendfile' }] });
  },
);
