'use strict';

/**
 * Which responses have a body is Node's to say: by the request as it came, and by the status in the head as it was made.
 * What `req.method` and `res.statusCode` say before or after makes no difference: a transfer sends a body where
 * `res.write` would, and nothing where it would not, and the next response begins where the client expects it.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const onHeaders = require('on-headers');
const { transfer } = require('..');
const { pattern, readAll, tmpFile } = require('./helpers');
const { httpServer } = require('./http-client');
const { exchange, hooked } = require('./piped');
const { methods } = require('./ways');

/** One goes out at once with its head, one through the socket's queue. */
const sizes = { 'a small file': 1000, 'a large file': 1_500_000 };
const files = Object.fromEntries(
  Object.entries(sizes).map(([name, size]) => {
    const bytes = pattern(size, 13);
    return [name, { bytes, path: tmpFile(bytes) }];
  }),
);

/** What is done before the bytes, and whether they are sent: by the method as it came. */
const cases = {
  'a HEAD that is made a GET': [
    'HEAD',
    (req) => {
      req.method = 'GET';
    },
    false,
  ],
  'a GET that is made a HEAD': [
    'GET',
    (req) => {
      req.method = 'HEAD';
    },
    true,
  ],
  'a status of 304, as text': [
    'GET',
    (_req, res) => {
      res.statusCode = '304';
    },
    false,
  ],
  'a status of 204, as text': [
    'GET',
    (_req, res) => {
      res.statusCode = '204';
    },
    false,
  ],
  'a status of 304 and a half': [
    'GET',
    (_req, res) => {
      res.statusCode = 304.5;
    },
    false,
  ],
  'a status of 199': [
    'GET',
    (_req, res) => {
      res.statusCode = 199;
    },
    false,
  ],
  'a status of 304 that whoever hears of the head gives it': [
    'GET',
    (_req, res) =>
      onHeaders(res, () => {
        res.statusCode = 304;
      }),
    false,
  ],
  'a head of 304, and a status of 200 after it': [
    'GET',
    (_req, res) => {
      res.writeHead(304);
      res.statusCode = 200;
    },
    false,
  ],
  'a head of 200, and a status of 304 after it': [
    'GET',
    (_req, res) => {
      res.writeHead(200);
      res.statusCode = 304;
    },
    true,
  ],
};

/** Everything that two requests on one connection get, and what each has given. */
async function answers(method, prepare, length, give) {
  const given = [];
  const { port } = await httpServer(async (req, res) => {
    res.sendDate = false;
    res.setHeader('Content-Length', length);
    prepare(req, res);
    given.push(await give(res));
    res.end();
  });
  const client = net.connect({ host: '127.0.0.1', port });
  await once(client, 'connect');
  client.write(`${method} /1 HTTP/1.1\r\nHost: a\r\n\r\n`);
  client.write(`${method} /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return { all: await readAll(client), given };
}

const written = (bytes) => (res) => new Promise((resolve) => res.write(bytes, () => resolve()));

describe.each(Object.keys(files))('%s', (name) => {
  const { bytes, path } = files[name];

  describe.each(Object.entries(cases))('%s', (_case, [method, prepare, isSent]) => {
    const byWrite = () => answers(method, prepare, bytes.length, written(bytes));

    test.each(methods('auto', 'sendfile', 'copy'))('by %s: what a write would send', async (way) => {
      const sent = await answers(method, prepare, bytes.length, (res) =>
        transfer(res, path, { method: way }),
      );
      const { all } = await byWrite();
      expect(all.includes(bytes)).toBe(isSent);
      expect(sent.all.equals(all)).toBe(true);
      expect(sent.given).toEqual(Array(2).fill(isSent ? bytes.length : 0));
    });

    test('corked: what a write would send', async () => {
      const corked = (give) => async (res) => {
        res.cork();
        const giving = give(res);
        setImmediate(() => res.uncork());
        return giving;
      };
      const sent = await answers(
        method,
        prepare,
        bytes.length,
        corked((res) => transfer(res, path)),
      );
      const { all } = await answers(method, prepare, bytes.length, corked(written(bytes)));
      expect(sent.all.equals(all)).toBe(true);
      expect(sent.given).toEqual(Array(2).fill(isSent ? bytes.length : 0));
    });

    // To the client of a response with a status of 1xx it is none.
    if (_case.includes('199')) return;

    test('as a stream under register: what its pipe would send', async () => {
      const answer = (res, watched, req) => {
        res.setHeader('Content-Length', bytes.length);
        prepare(req, res);
        watched(fs.createReadStream(path)).pipe(res);
      };
      const { result, counts } = await hooked(() => exchange(answer, { method }));
      const plain = await exchange(answer, { method });
      const bodies = [result, plain].map(({ response }) => response.body);
      expect(bodies[0].equals(bodies[1])).toBe(true);
      for (const { response } of [result, plain]) delete response.body;
      expect(result).toEqual(plain);
      expect(counts.failed).toBe(0);
      expect(counts.bytes).toBe(isSent ? bytes.length : 0);
    });
  });
});
