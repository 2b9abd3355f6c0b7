'use strict';

/**
 * A response's head and a small file leave in one native call, past Node's queue. What does not fit, what others have
 * hold of and what somebody listens to goes through the queue: the client sees no difference.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { Worker } = require('node:worker_threads');
const { transfer } = require('..');
const { pattern, tmpFile, tmpPath, until } = require('./helpers');
const { HttpClient, connect, expectBodies, httpServer } = require('./http-client');
const { onlyBy } = require('./ways');

const bytes = pattern(250_000, 11);
const file = tmpFile(bytes);
/** One of these fits, and a part of the next. */
const half = tmpFile(bytes.subarray(0, 150_000));
const small = tmpFile(bytes.subarray(0, 5000));

/** A server and a client on a unix socket: less than the file goes into it. */
async function narrow(handler) {
  const server = http.createServer(handler);
  const path = tmpPath('socket');
  server.listen(path);
  await once(server, 'listening');
  const client = new HttpClient(net.connect(path, () => {}));
  after.push(() => {
    client.destroy();
    server.close();
    server.closeAllConnections();
  });
  return client;
}

const after = [];
afterEach(() => {
  for (const each of after.splice(0)) each();
});

test('what does not fit follows from where it ends', async () => {
  const client = await narrow(async (_, res) => {
    await transfer(res, file);
    res.end();
  });
  await expectBodies(client, 3, bytes);
});

test('a head that does not fit comes whole, and the file behind it', async () => {
  const long = 'x'.repeat(400_000);
  const path = tmpPath('socket');
  const server = http.createServer((_, res) => {
    res.setHeader('X-Long', long);
    transfer(res, fs.openSync(small)).then(() => res.end());
  });
  server.listen(path);
  await once(server, 'listening');
  const socket = net.connect(path);
  after.push(() => {
    socket.destroy();
    server.close();
    server.closeAllConnections();
  });
  socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
  });
  const all = () => text.indexOf('\r\n\r\n') + 4 + 5000;
  await until(() => text.includes('\r\n\r\n') && text.length >= all(), 'the response');
  expect(text).toContain(`X-Long: ${long}\r\n`);
  expect(Buffer.from(text.slice(all() - 5000), 'latin1').equals(bytes.subarray(0, 5000))).toBe(true);
  expect(text.length).toBe(all());
});

test('a client that leaves when it did not fit: the count is what left', async () => {
  const counts = [];
  let error;
  let written;
  const client = await narrow(async (_, res) => {
    // One after another, so that each finds the socket idle; the client reads none.
    if (!res.socket) await once(res, 'socket');
    const { socket } = res;
    const before = socket.bytesWritten;
    written = () => socket.bytesWritten - before;
    try {
      counts.push(await transfer(res, fs.openSync(half)));
      res.end();
    } catch (reason) {
      error = reason;
    }
  });
  for (let i = 0; i < 5; i++) client.send(`/${i}`);
  await until(() => written?.() > 0 && written() < 150_000, 'one that does not fit');
  const out = written();
  client.destroy();
  await until(() => error, 'the rejection');
  expect(error.code).toBe('ERR_STREAM_PREMATURE_CLOSE');
  // All but the head.
  expect(error.bytesSent).toBeGreaterThan(out - 300);
  expect(error.bytesSent).toBeLessThan(out);
  for (const count of counts) expect(count).toBe(150_000);
});

test('the socket counts what went past its queue, and its timer hears of it', async () => {
  const written = [];
  const { port } = await httpServer(async (_, res) => {
    await transfer(res, small);
    written.push(res.socket.bytesWritten);
    res.end();
  });
  const client = connect(port);
  let total = 0;
  for (let i = 0; i < 3; i++) {
    client.send('/');
    const { head, body } = await client.response();
    total += Buffer.byteLength(`${head}\r\n\r\n`) + body.length;
    expect(written[i]).toBe(total);
  }
});

test('whoever replaces write while the head is made gets what is written after the transfer', async () => {
  const { port } = await httpServer(async (_, res) => {
    const { writeHead } = res;
    res.setHeader('Content-Length', 5004);
    res.writeHead = function (...args) {
      const { write } = res;
      res.write = (chunk, ...rest) => write.call(res, Buffer.from(chunk).reverse(), ...rest);
      return writeHead.apply(this, args);
    };
    await transfer(res, small);
    res.write('last');
    res.end();
  });
  const client = connect(port);
  for (let i = 0; i < 2; i++) {
    client.send('/');
    const { whole, body } = await client.response();
    const wanted = Buffer.concat([bytes.subarray(0, 5000), Buffer.from('tsal')]);
    expect([whole, body.equals(wanted)]).toEqual([true, true]);
  }
});

/** A client that reads while this thread does nothing: `count[0]` is how much of it, at last it gives all. */
const READER = `
  const { workerData: { path, count, all }, parentPort } = require('node:worker_threads');
  const socket = require('node:net').connect(path);
  const chunks = [];
  socket.write('GET / HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n');
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    Atomics.add(count, 0, chunk.length);
    Atomics.notify(count, 0);
    if (count[0] >= all) parentPort.postMessage(Buffer.concat(chunks));
  });
`;

test('what the socket was given by hand comes first, even if there is room by now', async () => {
  const early = pattern(600_000, 12);
  const path = tmpPath('socket');
  const count = new Int32Array(new SharedArrayBuffer(4));
  const server = http.createServer((_, res) => {
    res.socket.write(early);
    // A part of it is in the kernel, and the other side takes that while Node cannot write the rest.
    while (count[0] < 100_000) if (Atomics.wait(count, 0, count[0], 10_000) === 'timed-out') break;
    transfer(res, fs.openSync(small)).then(() => res.end());
  });
  server.listen(path);
  await once(server, 'listening');
  const worker = new Worker(READER, { eval: true, workerData: { path, count, all: early.length + 5100 } });
  const [received] = await once(worker, 'message');
  await worker.terminate();
  server.close();
  server.closeAllConnections();
  const all = Buffer.from(received);
  expect(all.subarray(0, early.length).equals(early)).toBe(true);
  expect(all.subarray(early.length, early.length + 15).toString()).toBe('HTTP/1.1 200 OK');
  expect(all.subarray(all.length - 5000).equals(bytes.subarray(0, 5000))).toBe(true);
});

test('a response that waits behind another keeps its place', async () => {
  let first;
  const { port } = await httpServer(async (req, res) => {
    if (req.url === '/first') {
      first = res;
      return;
    }
    await transfer(res, fs.openSync(small));
    res.end();
  });
  const client = connect(port);
  client.send('/first');
  client.send('/second');
  await until(() => first, 'the first request');
  await new Promise(setImmediate);
  first.end('first');
  expect((await client.response()).body.toString()).toBe('first');
  expect((await client.response()).body.equals(bytes.subarray(0, 5000))).toBe(true);
});

test('with strictContentLength, Node counts', async () => {
  const { port } = await httpServer(async (_, res) => {
    res.strictContentLength = true;
    await transfer(res, small);
    res.end();
  });
  const client = connect(port);
  client.send('/');
  const { whole, body } = await client.response();
  expect([whole, body.length]).toEqual([true, 5000]);
});

onlyBy(['sendfile', 'copy'], 'JS writes by the queue')('nothing of it goes through the queue', async () => {
  const writes = [];
  const { port } = await httpServer(async (_, res) => {
    const { socket } = res;
    await transfer(res, small);
    writes.push(socket.writableLength, res.writableLength, res.headersSent);
    res.end();
  });
  const client = connect(port);
  for (let i = 0; i < 2; i++) {
    client.send('/');
    await client.response();
  }
  expect(writes).toEqual([0, 0, true, 0, 0, true]);
});
