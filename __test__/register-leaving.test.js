'use strict';

/** Under `rs-sendfile/register`, whoever leaves halfway: the client, the server, the file. Nothing stays open. */

const { AsyncLocalStorage } = require('node:async_hooks');
const { subscribe, unsubscribe } = require('node:diagnostics_channel');
const { once } = require('node:events');
const fs = require('node:fs');
const { PassThrough, pipeline } = require('node:stream');
const { prematureClose } = require('../lib/errors');
const { intakeOf } = require('../lib/register/intake');
const { connect, httpServer } = require('./http-client');
const { openFds, pattern, readAll, tmpFile, until } = require('./helpers');
const { hooked, watch, OF_STREAM, OF_RESPONSE } = require('./piped');
const { told } = require('./ways');

/** More than the sockets of both sides take. */
const bytes = pattern(24_000_000, 3);
const large = tmpFile(bytes);

const opened = (file) => [...openFds().values()].filter((name) => name === file).length;

/** Reads so much of the answer and then does not any more. */
async function readSome(client, length) {
  let came = 0;
  while (came < length) {
    const chunk = client.socket.read();
    if (chunk === null) await once(client.socket, 'readable');
    else came += chunk.length;
  }
}

const leaves = {
  RST: (client) => client.socket.resetAndDestroy(),
  FIN: (client) => client.socket.destroy(),
};

describe.each(Object.keys(leaves))('a client that leaves by %s', (way) => {
  test.each([
    ['before the first byte', 0],
    ['in the middle', 8_000_000],
  ])('%s: the stream is closed, and its file', async (_, length) => {
    const seen = [];
    let stream;
    const { port } = await httpServer((_, res) => {
      stream = fs.createReadStream(large);
      watch(seen, 'stream', stream, OF_STREAM);
      watch(seen, 'res', res, OF_RESPONSE);
      stream.pipe(res);
      if (length === 0) leaves[way](client);
    });
    const client = connect(port);
    const { counts } = await hooked(async () => {
      client.send('/');
      if (length > 0) {
        await readSome(client, length);
        leaves[way](client);
      }
      await until(() => stream?.closed, 'the stream to close');
      await until(() => opened(large) === 0, 'the file to close');
    });
    expect(seen.filter((event) => !/open|ready/.test(event))).toEqual([
      'res pipe',
      'res close',
      'res unpipe',
      'stream close',
    ]);
    expect(counts.completed).toBe(0);
    expect(counts.failed).toBe(counts.taken);
    if (length > 0) expect(counts).toMatchObject({ taken: 1, left: {} });
  });

  test('pipeline calls back as it does without the hook', async () => {
    const run = async () => {
      const results = [];
      const { port } = await httpServer((_, res) => {
        const stream = fs.createReadStream(large);
        pipeline(stream, res, (error) => results.push([error?.code, stream.destroyed, res.destroyed]));
      });
      const client = connect(port);
      client.send('/');
      await readSome(client, 1_000_000);
      leaves[way](client);
      await until(() => results.length > 0, 'pipeline');
      await until(() => opened(large) === 0, 'the file to close');
      return results;
    };
    const plain = await run();
    expect((await hooked(run)).result).toEqual(plain);
  });
});

test('without the hook, a pipe leaves its file open: what these tests look at can be seen', async () => {
  let stream;
  const { port } = await httpServer((_, res) => {
    stream = fs.createReadStream(large);
    stream.pipe(res);
    res.on('close', () => res.emit('gone'));
  });
  const client = connect(port);
  client.send('/');
  await readSome(client, 1_000_000);
  client.socket.destroy();
  await until(() => stream._readableState.pipes.length === 0, 'the end of the pipe');
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect([stream.destroyed, opened(large)]).toEqual([false, 1]);
  stream.destroy();
});

test('responses that wait behind another: all their files are closed with the connection', async () => {
  const streams = [];
  const { port } = await httpServer((_, res) => {
    const stream = fs.createReadStream(large);
    streams.push(stream);
    stream.pipe(res);
  });
  await hooked(async () => {
    const client = connect(port);
    for (let i = 0; i < 20; i++) client.send(`/${i}`);
    await readSome(client, 1_000_000);
    await until(() => streams.length === 20, 'all requests');
    client.socket.resetAndDestroy();
    await until(() => streams.every((stream) => stream.closed), 'the streams to close');
    await until(() => opened(large) === 0, 'the files to close');
  });
});

test('what the response left over can be piped elsewhere', async () => {
  const rest = new PassThrough();
  const { port } = await httpServer((_, res) => {
    const stream = fs.createReadStream(large);
    stream.pipe(res);
    res.on('close', () => stream.pipe(rest));
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await readSome(client, 8_000_000);
    client.socket.destroy();
    const body = await readAll(rest);
    const from = bytes.length - body.length;
    expect(body.equals(bytes.subarray(from))).toBe(true);
    // Less than the client got would come twice: all it got but its head, and a few bytes around each chunk.
    expect(from).toBeGreaterThan(8_000_000 - 1000);
  });
});

test('a stream that is not to close by itself stays open', async () => {
  let stream;
  const { port } = await httpServer((_, res) => {
    stream = fs.createReadStream(large, { autoClose: false });
    stream.pipe(res);
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await readSome(client, 8_000_000);
    client.socket.destroy();
    await until(() => stream._readableState.pipes.length === 0, 'the end of the pipe');
    for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
    expect(stream.destroyed).toBe(false);
  });
  // Its end is counted with its 'close', which must not be in the next test.
  stream.destroy();
  await once(stream, 'close');
});

test('bytesRead tells how far a piece is that is under way', async () => {
  let stream;
  const { port } = await httpServer((_, res) => {
    stream = fs.createReadStream(large);
    stream.pipe(res);
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await until(() => stream && intakeOf(stream)?.job, 'a piece that does not fit');
    await until(async () => {
      const { job } = intakeOf(stream);
      const before = stream.bytesRead;
      await readSome(client, 200_000);
      return job && intakeOf(stream).job === job && stream.bytesRead > before;
    }, 'more bytes of one piece');
    client.socket.destroy();
    await once(stream, 'close');
  });
});

test('the server destroys the response: the stream is closed', async () => {
  let stream;
  const { port } = await httpServer((_, res) => {
    stream = fs.createReadStream(large);
    stream.pipe(res);
    until(() => stream.bytesRead > 0, 'the first byte').then(() => res.destroy());
  });
  const { counts } = await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await until(() => stream?.closed, 'the stream to close');
    await until(() => opened(large) === 0, 'the file to close');
  });
  expect(counts).toMatchObject({ taken: 1, completed: 0, failed: 1 });
});

test('a piece that fails when the response is destroyed: nothing is read before the pipe has heard', async () => {
  const order = [];
  let stream;
  const { port } = await httpServer((_, res) => {
    stream = fs.createReadStream(large);
    stream.pipe(res);
    res.on('unpipe', () => order.push('unpipe'));
    const { read } = fs;
    until(() => stream.bytesRead > 0 && intakeOf(stream).job, 'a piece under way').then(() => {
      // That is decided when it is piped: to read by this from now on changes nothing else.
      fs.read = (...args) => {
        order.push('read');
        return read.apply(fs, args);
      };
      stream.on('close', () => {
        fs.read = read;
      });
      res.destroy();
      // A step that was running just then says so before the socket's end is told.
      intakeOf(stream).job.fail(prematureClose());
    });
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await until(() => stream?.closed, 'the stream to close');
  });
  expect(order[0]).toBe('unpipe');
});

test('a response that was ended by another, on a connection that goes on: the stream is closed', async () => {
  const file = tmpFile(bytes.subarray(0, 100_000), 'late');
  let stream;
  const { port } = await httpServer((req, res) => {
    if (req.url === '/again') return res.end('again');
    stream = fs.createReadStream(file);
    stream.on('open', () => res.end('early'));
    stream.pipe(res);
    stream.pause();
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    expect((await client.response()).body.toString()).toBe('early');
    await until(() => stream.closed, 'the stream to close');
    client.send('/again');
    expect((await client.response()).body.toString()).toBe('again');
  });
});

test('a stream that is paused sends no piece after the one that is under way', async () => {
  let stream;
  const { port } = await httpServer((_, res) => {
    res.setHeader('Content-Length', bytes.length);
    stream = fs.createReadStream(large);
    stream.pipe(res);
    until(() => stream.bytesRead > 0, 'the first byte').then(() => stream.pause());
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    let came = 0;
    client.socket.on('data', (chunk) => {
      came += chunk.length;
    });
    client.socket.resume();
    await until(() => stream?.isPaused(), 'the pause');
    const out = () => stream.bytesRead - stream.readableLength;
    // While nobody takes, Node reads ahead: that read came after the piece.
    await until(() => stream.readableLength > 0, 'Node to read ahead');
    expect(out()).toBeLessThan(bytes.length);
    stream.resume();
    await until(() => came > bytes.length, 'the rest');
  });
});

test('a file that is cut off while it is sent: the connection ends, and nobody has to listen for an error', async () => {
  const file = tmpFile(bytes, 'cut');
  let stream;
  const { port } = await httpServer((_, res) => {
    res.setHeader('Content-Length', bytes.length);
    // Without a listener: an error would end the process.
    stream = fs.createReadStream(file);
    stream.pipe(res);
  });
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await readSome(client, 1_000_000);
    fs.truncateSync(file, 100);
    const { whole } = await readRest(client);
    expect(whole).toBe(false);
    await until(() => stream.closed, 'the stream to close');
    await until(() => opened(file) === 0, 'the file to close');
  });
  expect(stream.errored).toBe(null);
});

test('a file that grows while it is sent is sent with what was added, as by a pipe', async () => {
  const file = tmpFile(bytes, 'growing');
  const more = pattern(3_000_000, 9);
  let added = false;
  const { port } = await httpServer((_, res) => {
    const stream = fs.createReadStream(file);
    stream.pipe(res);
    stream.once('open', () => {
      fs.appendFileSync(file, more);
      added = true;
    });
  });
  const { result } = await hooked(() => {
    const client = connect(port);
    client.send('/');
    return client.response();
  });
  expect(added).toBe(true);
  expect(result.body.equals(Buffer.concat([bytes, more]))).toBe(true);
});

test('the diagnostics channels tell of a stream once, with all its pieces', async () => {
  const messages = [];
  const hear = (message) => messages.push(message);
  const prefix = 'tracing:rs-sendfile:transfer:';
  const names = ['start', 'end', 'error', 'asyncEnd'].map((name) => prefix + name);
  for (const name of names) subscribe(name, hear);
  const { port } = await httpServer((_, res) => fs.createReadStream(large, { start: 5 }).pipe(res));
  await hooked(async () => {
    const client = connect(port);
    client.send('/');
    await client.response();
    await until(() => messages.length === 3, 'the messages');
  });
  for (const name of names) unsubscribe(name, hear);
  expect(new Set(messages).size).toBe(1);
  expect(messages[0]).toMatchObject({
    file: large,
    offset: 5,
    bytes: bytes.length - 5,
    method: told.method,
    reason: told.reason,
  });
  expect(messages[0].error).toBeUndefined();
});

test('what a stream tells is told in the context of its request', async () => {
  const storage = new AsyncLocalStorage();
  const contexts = [];
  const { port } = await httpServer((req, res) => {
    storage.run(req.url, () => {
      const stream = fs.createReadStream(large);
      for (const event of ['open', 'end', 'close']) {
        stream.on(event, () => contexts.push([event, req.url, storage.getStore()]));
      }
      stream.pipe(res);
    });
  });
  await hooked(async () => {
    await Promise.all(
      ['/a', '/b', '/c'].map(async (url) => {
        const client = connect(port);
        client.send(url);
        await client.response();
      }),
    );
    await until(() => contexts.length === 9, 'all events');
  });
  for (const [event, url, store] of contexts) expect([event, store]).toEqual([event, url]);
});

/** What is left of a response whose beginning was thrown away: did it end by itself? */
async function readRest(client) {
  client.socket.resume();
  await once(client.socket, 'close');
  return { whole: client.socket.bytesRead > bytes.length };
}
