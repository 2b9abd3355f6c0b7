'use strict';

/**
 * What most tests need: bytes that tell their place, files of them, a pair of connected sockets, a client that reads
 * as it is told, a program of its own process.
 */

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const v8 = require('node:v8');
const vm = require('node:vm');
const { nodeOptions } = require('./ways');

const root = path.join(__dirname, '..');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-'));
const clean = () => fs.rmSync(directory, { recursive: true, force: true });
// Within jest nobody hears of the process's end.
if (typeof afterAll === 'function') afterAll(clean);
else process.on('exit', clean);

let count = 0;

/** A path of its own that nothing stands at yet. */
function tmpPath(name = 'file') {
  count += 1;
  return path.join(directory, `${count}-${name}`);
}

/**
 * `length` bytes in which every place is different from its neighbours at any distance that matters: a byte that is
 * lost, repeated or out of place does not go unseen.
 */
function pattern(length, seed = 1) {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  const words = length >>> 2;
  for (let i = 0; i < words; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, i * 4);
  }
  for (let i = words * 4; i < length; i++) bytes[i] = (i * 31 + seed) & 255;
  return bytes;
}

/** A file with these bytes, or with so many of a pattern. */
function tmpFile(content, name) {
  const file = tmpPath(name);
  fs.writeFileSync(file, typeof content === 'number' ? pattern(content, count) : content);
  return file;
}

/** The binary that this package loads: beside it where it was built, otherwise out of its platform's package. */
function binaryPath() {
  const { platform } = require('../lib/native').support;
  const built = path.join(root, `rs-sendfile.${platform}.node`);
  return fs.existsSync(built) ? built : require.resolve(`rs-sendfile-${platform}`);
}

/** Listens on 127.0.0.1 or a unix socket, on a port of its own. */
async function listen(server, where = { host: '127.0.0.1', port: 0 }) {
  server.listen(where);
  await once(server, 'listening');
  return server.address().port ?? server.address();
}

/**
 * A connected pair: `near` is the server's socket, `far` the client's, which reads nothing before it is told. Over a
 * unix socket (`unix: true`) the buffers are small: about 200 KiB.
 */
async function socketPair({ unix = false, ...options } = {}) {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: false, ...options });
  const address = await listen(server, unix ? { path: tmpPath('socket') } : undefined);
  const far = net.connect(unix ? { path: address } : { host: '127.0.0.1', port: address });
  far.pause();
  const [[near]] = await Promise.all([once(server, 'connection'), once(far, 'connect')]);
  server.close();
  return { near, far };
}

/** Everything that a readable has to give, until its end; its error is thrown. */
async function readAll(readable) {
  const chunks = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The next `length` bytes of a socket that is being read by this function alone. */
async function readBytes(socket, length) {
  const chunks = [];
  let missing = length;
  while (missing > 0) {
    const chunk = socket.read(Math.min(missing, socket.readableLength || missing));
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) break;
      const first = new AbortController();
      const { signal } = first;
      const events = ['readable', 'end', 'close'].map((event) => once(socket, event, { signal }));
      await Promise.race(events).finally(() => first.abort());
      await Promise.allSettled(events);
    } else {
      chunks.push(chunk);
      missing -= chunk.length;
    }
  }
  return Buffer.concat(chunks);
}

/** One request, whole: `{ status, headers, body }`. */
function request(port, options = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port, agent: false, ...options }, (res) => {
      readAll(res).then((body) => resolve({ status: res.statusCode, headers: res.headers, body }), reject);
    });
    req.on('error', reject);
    req.end();
  });
}

/** An HTTP server for one test: `handler`, its port, and a way to end it. */
async function httpServer(handler, options = {}) {
  const server = http.createServer(options, handler);
  const port = await listen(server);
  const close = async () => {
    server.close();
    server.closeAllConnections();
    if (server.listening) await once(server, 'close');
  };
  return { server, port, close };
}

/**
 * Runs a program text in a Node of its own: `{ code, signal, stdout, stderr }`. Ends it after `timeout` ms. `under` is a
 * command that starts it.
 */
async function runInChild(program, { args = [], env = {}, timeout = 30_000, under = [] } = {}) {
  const [command, ...all] = [...under, process.execPath, ...args, '-e', program];
  const child = spawn(command, all, {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: nodeOptions, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  const [stdout, stderr, [code, signal]] = await Promise.all([
    readAll(child.stdout),
    readAll(child.stderr),
    once(child, 'close'),
  ]);
  clearTimeout(timer);
  return { code, signal, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** Open descriptors of this process, as the kernel lists them: `fd -> what it is`. Linux only. */
function openFds() {
  const fds = new Map();
  for (const name of fs.readdirSync('/proc/self/fd')) {
    try {
      fds.set(Number(name), fs.readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The one by which the directory was read.
    }
  }
  return fds;
}

/** Waits until `check` holds, looking again whenever the event loop turns; fails after `limit` ms. */
async function until(check, what, limit = 20_000) {
  const end = performance.now() + limit;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`waited ${limit} ms for: ${what}`);
    await new Promise(setImmediate);
  }
}

/** A socket's fd, as the raw call takes it. */
function fdOf(socket) {
  return socket._handle.fd;
}

/** Both forms of the call, each as a function that returns a promise: for `describe.each`. */
function bothForms({ sendfile, sendfileSync }) {
  return [
    ['sendfileSync', async (...args) => sendfileSync(...args)],
    ['sendfile', (...args) => sendfile(...args)],
  ];
}

/** What `run` throws or rejects with; fails if it does neither. */
async function failure(run) {
  let value;
  try {
    value = await run();
  } catch (error) {
    return error;
  }
  throw new Error(`expected a failure, got ${String(value)}`);
}

/**
 * A pair of sockets for raw calls: Node reads neither of them, so that what is in the kernel stays there until
 * `takeNow` fetches it. `{ out, near, far, peer }`: `out` and `peer` are the fds of `near` and `far`.
 */
async function rawPair(options) {
  const { near, far } = await socketPair({ pauseOnConnect: true, ...options });
  near.on('error', () => {});
  far.on('error', () => {});
  return { near, far, out: fdOf(near), peer: fdOf(far) };
}

/** Up to `limit` bytes that wait at a non-blocking fd: a Buffer, empty at its end; null if there is nothing yet. */
function takeNow(fd, limit = 1 << 20) {
  const buffer = Buffer.allocUnsafe(limit);
  try {
    return buffer.subarray(0, fs.readSync(fd, buffer, 0, limit, null));
  } catch (error) {
    if (error.code === 'EAGAIN') return null;
    throw error;
  }
}

/** Exactly `length` bytes from a non-blocking fd; fewer if it ends before. */
async function takeBytes(fd, length) {
  const chunks = [];
  let missing = length;
  await until(() => {
    while (missing > 0) {
      const chunk = takeNow(fd, Math.min(missing, 1 << 20));
      if (chunk === null) return false;
      if (chunk.length === 0) return true;
      chunks.push(chunk);
      missing -= chunk.length;
    }
    return true;
  }, `${length} bytes`);
  return Buffer.concat(chunks);
}

/** All that a non-blocking fd gives until its end. */
function takeAll(fd) {
  return takeBytes(fd, Number.MAX_SAFE_INTEGER);
}

/** A FIFO, open for both: `fd` does not block. */
function openFifo() {
  const fifo = tmpPath('fifo');
  execFileSync('mkfifo', [fifo]);
  return { path: fifo, fd: fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK) };
}

/** Collects this process's garbage now. What V8 frees on its own threads it counts a little later. */
function collect() {
  v8.setFlagsFromString('--expose-gc');
  vm.runInNewContext('gc')();
}

/** The position of an open file. Linux only. */
function positionOf(fd) {
  return Number(/^pos:\s*(\d+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1]);
}

module.exports = {
  root,
  collect,
  tmpPath,
  tmpFile,
  pattern,
  binaryPath,
  listen,
  socketPair,
  readAll,
  readBytes,
  request,
  httpServer,
  runInChild,
  openFds,
  until,
  fdOf,
  bothForms,
  failure,
  rawPair,
  takeNow,
  takeBytes,
  takeAll,
  openFifo,
  positionOf,
};
