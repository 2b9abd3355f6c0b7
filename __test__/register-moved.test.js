'use strict';

/**
 * Under `rs-sendfile/register`, a stream that is piped into another response while a piece of it is on its way to the
 * first, which then dies: the second gets the rest, as by Node's own pipe.
 */

const fs = require('node:fs');
const { connect, httpServer } = require('./http-client');
const { pattern, tmpFile, until } = require('./helpers');
const { hooked } = require('./piped');

/** More than the sockets of both sides take. */
const bytes = pattern(24_000_000, 3);
const file = tmpFile(bytes);

const moves = {
  'the server destroys the first, and the stream is piped on when that has closed': ({
    first,
    second,
    stream,
  }) => {
    first.on('close', () => stream.pipe(second));
    first.destroy();
  },
  "the first's socket is destroyed, and the stream is piped on when that has closed": ({
    first,
    second,
    stream,
  }) => {
    first.on('close', () => stream.pipe(second));
    first.socket.destroy();
  },
  'the stream is unpiped and piped on, and then the first client resets': ({
    first,
    second,
    stream,
    client,
  }) => {
    stream.unpipe(first);
    stream.pipe(second);
    client.socket.resetAndDestroy();
  },
};

test.each(Object.keys(moves))('%s', async (name) => {
  const responses = {};
  let stream;
  const { port } = await httpServer((req, res) => {
    responses[req.url] = res;
    if (req.url !== '/1') return;
    stream = fs.createReadStream(file);
    stream.pipe(res);
  });
  const { counts } = await hooked(async () => {
    const [client, other] = [connect(port), connect(port)];
    client.send('/1');
    other.send('/2', 'GET', ['Connection: close']);
    await until(
      () => stream?.bytesRead > 0 && responses['/2'],
      'bytes on their way, and the second response',
    );
    moves[name]({ first: responses['/1'], second: responses['/2'], stream, client });
    const { body } = await other.response();
    // From somewhere in the middle to the end: what was on its way to the first is lost with it.
    expect(body.length).toBeGreaterThan(0);
    expect(body.length).toBeLessThan(bytes.length);
    expect(body.equals(bytes.subarray(bytes.length - body.length))).toBe(true);
    await until(() => stream.closed, 'the stream to close');
  });
  expect(counts).toMatchObject({ taken: 1, completed: 1, failed: 0 });
});
