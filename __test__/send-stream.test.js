'use strict';

/**
 * What a program may do with the stream that `send` gives it by 'stream', and with the response, half-way: the same
 * comes of it as with `send` itself.
 */

const { Writable } = require('node:stream');
const fs = require('node:fs');
const { until } = require('./helpers');
const { versions, root, small, large, huge, expectSame, expectTaken } = require('./send-play');
const { expectBytes } = require('./streams');

const text = fs.readFileSync(`${root}/text.txt`);
const onStream = (listener) => (sending, res, note) =>
  sending.on('stream', (stream) => listener(stream, res, note));

/** What is done before the first byte, and the body that comes nevertheless; whether it is still a transfer's. */
const before = {
  nothing: [{ listen: onStream(() => {}) }, small, true],
  pause: [{ listen: onStream((stream) => stream.pause()) }, small, true],
  'a listener for end and close': [
    {
      listen: onStream((stream, _res, note) => {
        stream.on('end', () => note('the end is heard'));
        stream.on('close', () => note('the close is heard'));
      }),
    },
    small,
    true,
  ],
  'a data listener': [
    {
      listen: onStream((stream, _res, note) => {
        let bytes = 0;
        stream.on('data', (chunk) => {
          bytes += chunk.length;
        });
        stream.on('end', () => note(`${bytes} bytes heard`));
      }),
    },
    small,
    false,
  ],
  'a second destination': [
    {
      url: '/large.bin',
      listen: onStream((stream, _res, note) => {
        let bytes = 0;
        const count = (chunk, _encoding, done) => {
          bytes += chunk.length;
          setImmediate(done);
        };
        const second = new Writable({ write: count });
        second.on('finish', () => note(bytes === large.length ? 'all of it' : `${bytes} bytes`));
        stream.pipe(second);
      }),
    },
    large,
    false,
  ],
  'an encoding': [
    { url: '/text.txt', listen: onStream((stream) => stream.setEncoding('utf8')) },
    text,
    false,
  ],
  'an encoding, by the options': [{ url: '/text.txt', options: { encoding: 'latin1' } }, text, false],
  'a file system of its own, by the options': [{ options: { fs: { ...fs } } }, small, false],
};

/** Ends the response where nobody else does, once its stream is over, as a program would. */
const endOf = (end) => async (client, server) => {
  await until(() => server.stream?.closed, "the stream's 'close'");
  end(server.res);
  const response = await client.response();
  return { status: response?.status, whole: response?.whole };
};

/** Reads the first bytes of a body and no more, does this, and reads what still comes. */
const halfWay = (meddle, body, isWhole) => async (client, server) => {
  const head = await client.takeUntil('\r\n\r\n');
  const first = await client.take(1000);
  // The socket is full: nothing moves on its own.
  await until(() => server.res.socket === null || server.res.socket.writableLength > 0, 'a full socket');
  await meddle(server, client);
  const rest = isWhole ? await client.take(body.length - 1000) : await client.rest();
  const came = Buffer.concat([first, rest]);
  expectBytes(came, body.subarray(0, came.length));
  return { status: head.slice(0, 12), whole: came.length === body.length };
};

const closed = (server) => until(() => server.stream.closed, "the stream's 'close'");
const turns = async () => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
};

/** What is done half-way; whether the body is whole in the end. */
const meddlings = {
  'the stream is paused and resumed': [
    async ({ stream }) => {
      stream.pause();
      await turns();
      stream.resume();
    },
    true,
  ],
  'the stream is unpiped and piped again': [
    async ({ stream, res }) => {
      stream.unpipe(res);
      await turns();
      stream.pipe(res);
    },
    true,
  ],
  'the stream is unpiped, and the response destroyed': [
    async ({ stream, res }) => {
      stream.unpipe(res);
      await turns();
      res.destroy();
    },
    false,
  ],
  'the stream is destroyed, and then the response': [
    async (server) => {
      server.stream.destroy();
      await closed(server);
      server.res.destroy();
    },
    false,
  ],
  'the stream is destroyed, and then the connection': [
    async (server) => {
      server.stream.destroy();
      await closed(server);
      server.res.socket.destroy();
    },
    false,
  ],
  'the response is destroyed': [({ res }) => res.destroy(), false],
  'the request is destroyed': [({ res }) => res.req.destroy(), false],
  'the connection is destroyed': [({ res }) => res.socket.destroy(), false],
  'the connection is reset': [({ res }) => res.socket.resetAndDestroy(), false],
};

describe.each(versions)('over %s', (_version, plain, ours) => {
  test.each(Object.entries(before))('before the first byte: %s', async (_name, [exchange, body, taken]) => {
    const result = await expectSame(plain, ours, exchange);
    expectBytes(result.got.body, body);
    expectTaken(result, taken);
  });

  test('before the first byte: it is destroyed', async () => {
    const result = await expectSame(plain, ours, {
      listen: onStream((stream) => stream.destroy()),
      read: endOf((res) => res.destroy()),
    });
    expect(result.got).toEqual({ status: undefined, whole: undefined });
    expectTaken(result, false);
  });

  test('before the first byte: it is destroyed with an error, and the answer is 500', async () => {
    const destroy = (stream) => stream.destroy(Object.assign(new Error('mine'), { code: 'EMINE' }));
    const result = await expectSame(plain, ours, { listen: onStream(destroy) });
    expect(result.got.status).toBe(500);
    expectTaken(result, false);
  });

  test.each(Object.entries(meddlings))('half-way: %s', async (_name, [meddle, isWhole]) => {
    const [url, body] = isWhole ? ['/large.bin', large] : ['/huge.bin', huge];
    const result = await expectSame(plain, ours, { url, read: halfWay(meddle, body, isWhole) });
    expect(result.got.whole).toBe(isWhole);
    expectTaken(result);
  });

  test('half-way: the stream is destroyed with an error, which the program hears', async () => {
    const result = await expectSame(plain, ours, {
      url: '/huge.bin',
      listen: (sending, res) => sending.on('error', () => res.destroy()),
      read: halfWay(({ stream }) => stream.destroy(new Error('mine')), huge, false),
    });
    expect(result.got.whole).toBe(false);
    expect(result.seen.filter((event) => event.startsWith('error'))).toHaveLength(1);
  });
});
