'use strict';

/**
 * A client that pipelines a thousand requests and reads nothing: how many files it makes the server open, compared with
 * what `createReadStream().pipe(res)` opens for the same client.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { transfer } = require('..');
const { listen, openFds, pattern, tmpFile, tmpPath, until } = require('./helpers');
const { closeAll, keep, pair } = require('./streams');

const REQUESTS = 1000;
const SIZE = 2_000_000;
/** Large enough that they come in more than one piece, and the server may stop reading in between. */
const ONE = `GET / HTTP/1.1\r\nHost: test\r\nX-Padding: ${'x'.repeat(400)}\r\n\r\n`;
/** Turns of the event loop in which nothing has changed: longer than any open or read takes. */
const QUIET_MS = 300;

const file = tmpFile(pattern(SIZE, 7));

afterEach(closeAll);

const countFiles = () => [...openFds().values()].filter((name) => name === file).length;

/** The most files open at a time, and the requests that the server took. */
async function open(handler) {
  let requests = 0;
  const sockets = [];
  const server = keep(
    http.createServer((req, res) => {
      requests += 1;
      handler(req, res);
    }),
  );
  server.on('connection', (socket) => sockets.push(socket));
  const client = keep(net.connect(await listen(server, { path: tmpPath('socket') })));
  client.on('error', () => {}).pause();
  await once(client, 'connect');
  client.write(ONE.repeat(REQUESTS));
  let files = 0;
  let seen = { requests: -1, files: -1, at: 0 };
  await until(() => {
    const now = countFiles();
    files = Math.max(files, now);
    if (requests !== seen.requests || now !== seen.files)
      seen = { requests, files: now, at: performance.now() };
    return requests > 0 && performance.now() - seen.at > QUIET_MS;
  }, 'a server at rest');
  client.destroy();
  await until(() => sockets.every((socket) => socket.destroyed), 'the end of the connection');
  return { files, requests };
}

const streams = new Set();

function piped(_req, res) {
  res.setHeader('Content-Length', SIZE);
  const stream = fs.createReadStream(file);
  streams.add(stream);
  stream.pipe(res);
}

/** A bare pipe leaves its file open when the client leaves. */
async function closePiped() {
  for (const stream of streams) stream.destroy();
  streams.clear();
  await until(() => countFiles() === 0, 'no open file');
}

const ways = {
  path: (_req, res) => {
    transfer(res, file).then(
      () => res.end(),
      () => {},
    );
  },
  fd: (_req, res) => {
    const fd = fs.openSync(file);
    transfer(res, fd).then(
      () => res.end(),
      () => {},
    );
    fs.closeSync(fd);
  },
};

beforeAll(async () => {
  // How many requests come before the first file is open is chance, for a pipe and for a path that is new.
  const { near, far } = await pair({ unix: true });
  far.resume();
  await transfer(near, file);
});

test.each(Object.entries(ways))(
  'by %s no more are open than by pipe, and none after it',
  async (_, handler) => {
    const byPipe = await open(piped);
    await closePiped();
    const ours = await open(handler);
    expect(ours.files).toBeGreaterThan(0);
    expect(ours.files).toBeLessThanOrEqual(byPipe.files);
    expect(ours.requests).toBeLessThanOrEqual(byPipe.requests);
    await until(() => countFiles() === 0, 'no open file');
  },
);
