'use strict';

/**
 * Every form in which a response may promise its length, and every kind of a wrong one: what was promised is what
 * comes, to the byte, or the transfer is refused; and what follows on the connection is the next response or nothing.
 */

const fs = require('node:fs');
const { transfer } = require('..');
const { pattern, tmpFile, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');

const SIZE = 12_000;
const bytes = pattern(SIZE, 91);
const file = tmpFile(bytes);

const outcome = (promise) =>
  promise.then(
    (sent) => ({ bytes: sent }),
    (error) => ({ code: error.code, bytesSent: error.bytesSent }),
  );

/** Where the promise is made; each is given the value as it is. */
const places = {
  setHeader: (res, value) => res.setHeader('Content-Length', value),
  'setHeader in lower case': (res, value) => res.setHeader('content-length', value),
  'writeHead with an object': (res, value) => res.writeHead(200, { 'Content-Length': value }),
  'writeHead with a reason and an object': (res, value) =>
    res.writeHead(200, 'Fine', { 'content-length': value }),
  'writeHead with a flat array': (res, value) =>
    res.writeHead(200, ['X-A', '1', 'Content-Length', value, 'X-B', '2']),
  'writeHead with an array of pairs': (res, value) =>
    res.writeHead(200, [
      ['X-A', '1'],
      ['content-length', value],
    ]),
  'writeHead over setHeader': (res, value) => {
    res.setHeader('Content-Length', 1);
    res.setHeader('X-A', '1');
    res.writeHead(200, { 'Content-Length': value });
  },
};

/** Who writes the body. */
const bodies = {
  'a path': (res) => transfer(res, file),
  'an fd': (res) => {
    const fd = fs.openSync(file);
    const sending = transfer(res, fd);
    fs.closeSync(fd);
    return sending;
  },
  'a path, through a patched write': (res) => {
    const { write } = res;
    res.write = (...given) => write.apply(res, given);
    return transfer(res, file);
  },
};

/** All that comes over a connection on which `answer` answers the first of two requests. */
async function exchange(answer, method = 'GET') {
  let result;
  const { port } = await httpServer((req, res) => {
    if (req.url === '/next') return res.end('the next');
    res.sendDate = false;
    result = answer(res);
    result.catch(() => res.destroy());
  });
  const client = connect(port);
  client.send('/', method);
  client.send('/next', 'GET', ['Connection: close']);
  const all = await client.rest();
  await until(() => result !== undefined, 'the handler');
  const end = all.indexOf('\r\n\r\n');
  return { result: await result, head: all.subarray(0, end).toString(), rest: all.subarray(end + 4) };
}

const isNext = (rest) => /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nthe next$/.test(rest.toString('latin1'));

describe.each(Object.entries(bodies))('%s', (_body, give) => {
  test.each(Object.keys(places))('kept: %s', async (place) => {
    for (const value of [
      SIZE,
      String(SIZE),
      ` ${SIZE}`,
      `0${SIZE}`,
      ...(place.includes('array') ? [] : [[String(SIZE)]]),
    ]) {
      const { result, rest } = await exchange(async (res) => {
        places[place](res, value);
        const sent = await outcome(give(res));
        res.end();
        return sent;
      });
      expect({ value, result }).toEqual({ value, result: { bytes: SIZE } });
      expect(rest.subarray(0, SIZE).equals(bytes)).toBe(true);
      expect(isNext(rest.subarray(SIZE))).toBe(true);
    }
  });

  // A peer may take such a value for its first digits, or for anything else.
  const wrong = [
    '1.2e4',
    '0x2ee0',
    '+12000',
    '12000.0',
    '12000,12000',
    'twelve',
    '',
    ' ',
    'NaN',
    '-1',
    '11999',
    '0',
    11_999,
    0,
    Number.NaN,
    -1,
  ];
  test.each(Object.keys(places))('refused before a byte: %s', async (place) => {
    for (const value of wrong) {
      const { result, head, rest } = await exchange(async (res) => {
        places[place](res, value);
        const refused = await outcome(give(res));
        res.destroy();
        return refused;
      });
      expect({ value, result }).toEqual({
        value,
        result: { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH', bytesSent: 0 },
      });
      expect([head.length, rest.length]).toEqual([0, 0]);
    }
  });

  test.each(Object.keys(places))('more than comes: sent, and nothing follows it: %s', async (place) => {
    for (const value of [
      SIZE + 1,
      String(SIZE + 1),
      2 ** 53,
      '9007199254740993',
      '99999999999999999999999999',
    ]) {
      const { result, rest } = await exchange(async (res) => {
        places[place](res, value);
        const sent = await outcome(give(res));
        res.end();
        return sent;
      });
      expect({ value, result }).toEqual({ value, result: { bytes: SIZE } });
      expect(rest.equals(bytes)).toBe(true);
    }
  });

  test('two different lengths are none', async () => {
    for (const set of [
      (res) => res.setHeader('Content-Length', [String(SIZE), String(SIZE + 1)]),
      (res) => res.writeHead(200, { 'Content-Length': [String(SIZE + 1), String(SIZE)] }),
      (res) =>
        res.writeHead(200, [
          ['Content-Length', 1],
          ['Content-Length', SIZE],
        ]),
    ]) {
      const { result, rest } = await exchange(async (res) => {
        set(res);
        const refused = await outcome(give(res));
        res.destroy();
        return refused;
      });
      expect(result).toEqual({ code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH', bytesSent: 0 });
      expect(rest).toHaveLength(0);
    }
  });

  test('HEAD has no body, whatever was promised', async () => {
    for (const place of Object.values(places)) {
      for (const value of [SIZE, 0, 5, 'twelve']) {
        const { result, rest } = await exchange(async (res) => {
          place(res, value);
          const sent = await outcome(give(res));
          res.end();
          return sent;
        }, 'HEAD');
        expect(result).toEqual({ bytes: 0 });
        expect(isNext(rest)).toBe(true);
      }
    }
  });
});

describe('a path that becomes shorter between its opening and its turn', () => {
  test.each([
    ['to nothing', 0],
    ['to a part', 5_000],
    ['by a byte', SIZE - 1],
  ])('%s: ERR_SENDFILE_TRUNCATED, no byte of another kind, and no next response', async (_how, size) => {
    const shrinking = tmpFile(bytes);
    let first;
    let sent;
    const { port } = await httpServer((req, res) => {
      if (req.url === '/first') first = res;
      else if (req.url === '/next') res.end('the next');
      else {
        sent = outcome(transfer(res, shrinking));
        sent.then(() => res.end());
        res.queued = () => res.writableLength > 0;
        second = res;
      }
    });
    let second;
    const client = connect(port);
    for (const target of ['/first', '/second', '/next']) client.send(target);
    await until(() => second?.queued(), 'its place in the queue');
    fs.truncateSync(shrinking, size);
    first.end('first');
    expect((await client.response()).body.toString()).toBe('first');
    const response = await client.response();
    expect(await sent).toEqual({ code: 'ERR_SENDFILE_TRUNCATED', bytesSent: size });
    if (response) expect(response.body.equals(bytes.subarray(0, response.body.length))).toBe(true);
    expect(await client.rest()).toHaveLength(0);
  });
});
