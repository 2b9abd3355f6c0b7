'use strict';

/**
 * Two copies of the package in one process, each with a binary of its own: by two dependents of different versions, or
 * by a bundler. They know nothing of each other, and share sockets all the same.
 */

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const one = require('..');
const {
  binaryPath,
  listen,
  openFds,
  pattern,
  readAll,
  request,
  root,
  tmpFile,
  tmpPath,
  until,
} = require('./helpers');
const { closeAll, expectBytes, failure, keep, openFile, pair } = require('./streams');

const another = copyOf();
const copies = { one, another };

const SIZE = 3 << 20;
const content = pattern(SIZE, 41);
const file = tmpFile(content);
const small = tmpFile(content.subarray(0, 5000));

afterEach(closeAll);

/** A second copy of the package, and of its binary under another name. */
function copyOf() {
  const place = tmpPath('copy');
  fs.mkdirSync(place);
  for (const name of ['lib', 'index.js', 'package.json']) {
    fs.cpSync(path.join(root, name), path.join(place, name), { recursive: true });
  }
  fs.copyFileSync(binaryPath(), path.join(place, path.basename(binaryPath())));
  return require(place);
}

test('they are two', () => {
  expect(another.transfer).not.toBe(one.transfer);
  expect(another.support).toEqual(one.support);
  expect(another.support.available).toBe(true);
});

test('each sends on sockets of its own, both at once', async () => {
  const sockets = await Promise.all(Array.from({ length: 8 }, () => pair()));
  const received = sockets.map(({ far }) => readAll(far));
  const sent = sockets.map(({ near }, index) => {
    const { transfer } = index % 2 ? one : another;
    return transfer(near, index % 3 ? file : openFile(file), { headers: String(index) });
  });
  expect(await Promise.all(sent)).toEqual(new Array(8).fill(SIZE + 1));
  for (const { near } of sockets) near.end();
  for (const [index, bytes] of (await Promise.all(received)).entries()) {
    expectBytes(bytes, Buffer.concat([Buffer.from(String(index)), content]));
  }
});

test.each([['one'], ['another']])('on one socket, one after the other, %s first', async (first) => {
  const second = first === 'one' ? 'another' : 'one';
  const { near, far } = await pair();
  const received = readAll(far);
  const expected = [];
  for (let round = 0; round < 4; round++) {
    for (const name of [first, second]) {
      near.write(name);
      await copies[name].transfer(near, round % 2 ? file : openFile(small));
      expected.push(Buffer.from(name), round % 2 ? content : content.subarray(0, 5000));
    }
  }
  near.end();
  expectBytes(await received, Buffer.concat(expected));
});

test.each([['one'], ['another']])(
  'on one socket, all called in one turn, %s first: in order',
  async (first) => {
    const second = first === 'one' ? 'another' : 'one';
    const { near, far } = await pair();
    const received = readAll(far);
    const sent = [];
    for (let round = 0; round < 6; round++) {
      const { transfer } = copies[round % 2 ? second : first];
      sent.push(transfer(near, round % 3 ? openFile(file) : file, { headers: `<${round}>` }));
    }
    expect(await Promise.all(sent)).toEqual(new Array(6).fill(SIZE + 3));
    near.end();
    const expected = sent.flatMap((_, round) => [Buffer.from(`<${round}>`), content]);
    expectBytes(await received, Buffer.concat(expected));
  },
);

test('on one response, and on one connection', async () => {
  const server = keep(http.createServer());
  server.on('request', async (req, res) => {
    const [first, second] = req.url === '/a' ? [one, another] : [another, one];
    res.setHeader('Content-Length', 2 * SIZE + 5000);
    await first.transfer(res, file);
    await second.transfer(res, small);
    await first.transfer(res, openFile(file));
    res.end();
  });
  const port = await listen(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const expected = Buffer.concat([content, content.subarray(0, 5000), content]);
  for (const url of ['/a', '/b', '/a', '/b']) {
    const { body } = await request(port, { path: url, agent });
    expectBytes(body, expected);
  }
  agent.destroy();
});

test.each([[0], [1]])(
  'a marker that comes to the other’s wrapping is refused, with %i writes beside it: never its own bytes',
  async (writes) => {
    const { near, far } = await pair();
    const received = readAll(far);
    near.cork();
    const sending = failure(one.transfer(near, openFile(file)));
    for (let i = 0; i < writes; i++) near.write('beside');
    // No copy wraps a socket that another has wrapped; but somebody may take a wrapping away.
    delete near._write;
    delete near._writev;
    const other = failure(another.transfer(near, openFile(small)));
    near.uncork();
    expect(await sending).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
    expect(await other).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
    expect((await received).length).toBe(0);
  },
);

test('a process with both ends by itself, and nothing is left open', async () => {
  const ours = () => [...openFds().values()].filter((what) => /^socket:|rs-sendfile/.test(what)).length;
  const before = ours();
  for (const { transfer } of [one, another, one, another]) {
    const { near, far } = await pair();
    const sending = transfer(near, file).catch(({ code }) => code);
    far.destroy();
    near.destroy();
    expect(await sending).toBe('ERR_STREAM_PREMATURE_CLOSE');
  }
  await until(() => ours() <= before, 'the descriptors');
});
