'use strict';

/**
 * Content-Length is a promise, and so is an explicit `length`: kept to the byte, or the connection ends. A response
 * that is short or long by a byte would hand somebody else's data to the next one.
 */

const fs = require('node:fs');
const { sendfile, transfer } = require('..');
const { pattern, tmpFile, until } = require('./helpers');
const { connect, exchange, httpServer } = require('./http-client');

const bytes = pattern(10_000, 7);
const file = tmpFile(bytes);
const turn = () => new Promise(setImmediate);

function withFd(use, path = file) {
  const fd = fs.openSync(path);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

const outcome = (promise) =>
  promise.then(
    (sent) => ({ bytes: sent }),
    (error) => ({ code: error.code, bytesSent: error.bytesSent }),
  );

/** What follows is the next response from its first byte, or nothing. */
function expectInStep(after, served) {
  const text = after.toString('latin1');
  if (served) {
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text.slice(-8)).toBe('the next');
  } else {
    expect(text).toBe('');
  }
}

/** The two ways of making the promise. */
const ways = [
  ['setHeader', (res, length) => res.setHeader('Content-Length', length)],
  ['writeHead', (res, length) => res.writeHead(200, { 'Content-Length': length })],
];

describe.each(ways)('Content-Length by %s', (name, promise) => {
  test('as much as the file has: the next request is served', async () => {
    const { response, after, result } = await exchange(async (res) => {
      promise(res, bytes.length);
      const sent = await transfer(res, file);
      res.end();
      return sent;
    });
    expect(result).toBe(bytes.length);
    expect(response.whole && response.body.equals(bytes)).toBe(true);
    expectInStep(after, true);
  });

  test('less: refused before a byte, and the response can still keep its promise', async () => {
    for (const source of [(res) => transfer(res, file), (res) => withFd((fd) => transfer(res, fd))]) {
      const { response, after, result } = await exchange(async (res) => {
        promise(res, 4);
        const refused = await outcome(source(res));
        expect(res.headersSent).toBe(name === 'writeHead');
        res.end('four');
        return refused;
      });
      expect(result).toEqual({ code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH', bytesSent: 0 });
      expect([response.whole, response.body.toString()]).toEqual([true, 'four']);
      expectInStep(after, true);
    }
  });

  test('more: sent, and the connection closed after it', async () => {
    for (const atOnce of [false, true]) {
      const { response, after } = await exchange(async (res) => {
        promise(res, bytes.length + 8);
        const sent = withFd((fd) => transfer(res, fd));
        if (atOnce) res.end();
        expect(await sent).toBe(bytes.length);
        if (!atOnce) res.end();
      });
      expect(response.whole).toBe(false);
      expect(response.body.equals(bytes)).toBe(true);
      expectInStep(after, false);
    }
  });

  test('more, and an empty file', async () => {
    const { response, after } = await exchange(async (res) => {
      promise(res, 8);
      await transfer(res, tmpFile(0));
      res.end();
    });
    expect([response.whole, response.body.toString()]).toEqual([false, '']);
    expectInStep(after, false);
  });

  test('kept by several transfers and writes together', async () => {
    const parts = [
      ['one turn', false],
      ['several turns', true],
    ];
    for (const [, turns] of parts) {
      const { response, after } = await exchange(async (res) => {
        promise(res, 2 * bytes.length + 20);
        res.write('five!');
        if (turns) await turn();
        const first = withFd((fd) => transfer(res, fd));
        if (turns) await first;
        res.write('\u20acseven', 'utf8');
        if (turns) await turn();
        const second = withFd((fd) => sendfile(res, fd, 0, null, { headers: 'head', trailers: 'tr' }));
        if (turns) await second;
        res.end('!');
        await second;
      });
      const body = Buffer.concat([
        Buffer.from('five!'),
        bytes,
        Buffer.from('\u20acseven'),
        Buffer.from('head'),
        bytes,
        Buffer.from('tr!'),
      ]);
      expect(body.length).toBe(2 * bytes.length + 20);
      expect(response.whole && response.body.equals(body)).toBe(true);
      // On a connection's first response nobody can tell what was written in earlier turns: then it is closed.
      expectInStep(after, !turns || after.length > 0);
    }
  });

  test('broken by the sum: the transfer that is too much is refused, and the rest arrives', async () => {
    const { response, after, result } = await exchange(async (res) => {
      promise(res, bytes.length + 10);
      res.write('12345');
      const first = withFd((fd) => transfer(res, fd));
      const second = withFd((fd) => transfer(res, fd, { length: 6 }));
      const third = withFd((fd) => transfer(res, fd, { length: 5 }));
      res.end();
      return Promise.all([first, second, third].map(outcome));
    });
    expect(result).toEqual([
      { bytes: bytes.length },
      { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH', bytesSent: 0 },
      { bytes: 5 },
    ]);
    const body = Buffer.concat([Buffer.from('12345'), bytes, bytes.subarray(0, 5)]);
    expect(response.whole && response.body.equals(body)).toBe(true);
    expectInStep(after, true);
  });

  test('broken by the sum over several turns', async () => {
    const { response, after, result } = await exchange(async (res) => {
      await transfer(res, tmpFile(0), { headers: [] });
      res.removeHeader('Content-Length');
      promise(res, bytes.length + 2);
      const first = await transfer(res, file);
      await turn();
      const second = await outcome(transfer(res, file, { length: 3 }));
      const third = await transfer(res, file, { length: 2 });
      res.end();
      return [first, second, third];
    });
    expect(result).toEqual([bytes.length, { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH', bytesSent: 0 }, 2]);
    expect(response.body.equals(Buffer.concat([bytes, bytes.subarray(0, 2)]))).toBe(true);
    expectInStep(after, true);
  });

  test('broken by a write after the transfer: what is too much is the caller’s, and the connection ends', async () => {
    const { response, after } = await exchange(async (res) => {
      promise(res, bytes.length);
      await transfer(res, file);
      res.write('extra');
      res.end();
    });
    expect(response.body.equals(bytes)).toBe(true);
    expect(after.toString()).not.toContain('the next');
  });

  test('strictContentLength counts the transfer', async () => {
    const { response, after, result } = await exchange(async (res) => {
      res.strictContentLength = true;
      promise(res, bytes.length + 1);
      await transfer(res, file);
      let code;
      try {
        res.end();
      } catch (error) {
        ({ code } = error);
      }
      res.end('!');
      return code;
    });
    expect(result).toBe('ERR_HTTP_CONTENT_LENGTH_MISMATCH');
    expect(response.whole && response.body.length === bytes.length + 1).toBe(true);
    expectInStep(after, true);
  });

  test('a source of unknown size sends no byte more than promised', async () => {
    const { response, after } = await exchange(async (res) => {
      promise(res, 5);
      await outcome(withFd((fd) => transfer(res, fd), '/proc/self/status'));
      res.end();
    });
    expect(response.body.length).toBeLessThanOrEqual(5);
    expectInStep(after, after.length > 0);
  });
});

describe('a Content-Length that the transfer sets', () => {
  const sizes = [
    ['no bytes', Buffer.alloc(0)],
    ['what goes out at once', bytes],
    ['more than that', pattern(3 * 1024 * 1024, 8)],
  ];

  test.each(sizes)('%s: a write after it ends the connection, in whatever turn', async (_, body) => {
    const path = tmpFile(body);
    // A path is not queued before the next turn.
    for (const [byFd, later] of [
      [true, false],
      [true, true],
      [false, true],
    ]) {
      const { response, after } = await exchange(async (res) => {
        const sent = byFd ? withFd((fd) => transfer(res, fd), path) : transfer(res, path);
        if (later) await sent;
        res.write('and more');
        if (later) await turn();
        res.end();
        await outcome(sent);
      });
      expect(response.body.equals(body)).toBe(true);
      expect(after.toString('latin1')).toBe('and more');
    }
  });

  test('whose head is refused by a listener: the body that is missing ends the connection', async () => {
    const { response, after, result } = await exchange(async (res) => {
      const { writeHead } = res;
      res.writeHead = function (...args) {
        writeHead.apply(this, args);
        throw new Error('no head');
      };
      const refused = await transfer(res, file).catch((error) => error);
      res.end();
      return refused.message;
    });
    expect(result).toBe('no head');
    expect([response.whole, response.body.toString()]).toEqual([false, '']);
    expectInStep(after, false);
  });

  test('which a listener of the head changes: the body is sent, and nothing follows it', async () => {
    for (const mine of [false, true]) {
      const { response, after } = await exchange(async (res) => {
        if (mine) res.setHeader('Content-Length', bytes.length);
        const { writeHead } = res;
        res.writeHead = function (...args) {
          this.setHeader('Content-Length', bytes.length + 8);
          return writeHead.apply(this, args);
        };
        await transfer(res, file);
        res.end();
      });
      expect([response.whole, response.body.equals(bytes)]).toEqual([false, true]);
      expectInStep(after, false);
    }
  });

  test('whose head is heard by somebody who sends a file himself: each goes out once', async () => {
    const { response, after, result } = await exchange(async (res) => {
      res.setHeader('Content-Length', bytes.length + 7);
      const { writeHead } = res;
      const sent = [];
      res.writeHead = function (...args) {
        writeHead.apply(this, args);
        sent.push(withFd((fd) => transfer(this, fd, { length: 4 })));
      };
      sent.push(withFd((fd) => transfer(res, fd)));
      await Promise.all(sent);
      res.end('end');
      return Promise.all(sent);
    });
    expect(result.sort()).toEqual([bytes.length, 4]);
    const all = [bytes, bytes.subarray(0, 4), Buffer.from('end')];
    expect(response.body.equals(Buffer.concat(all))).toBe(true);
    expectInStep(after, true);
  });

  test.each([
    ['the first header', {}],
    ['one after others', { 'Cache-Control': 'no-store' }],
  ])('is a header like any other, as %s', async (_, headers) => {
    let seen;
    const { response } = await exchange(async (res) => {
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
      const { writeHead } = res;
      res.writeHead = function (...args) {
        seen = [this.getHeader('Content-Length'), this.hasHeader('content-length')];
        return writeHead.apply(this, args);
      };
      await transfer(res, file);
      seen.push(res.getHeaderNames(), { ...res.getHeaders() });
      res.end();
    });
    const lowered = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
    const all = { ...Object.fromEntries(lowered), 'content-length': bytes.length };
    expect(seen).toEqual([bytes.length, true, Object.keys(all), all]);
    expect(response.head).toMatch(/^Content-Length: 10000$/m);
  });
});

describe('an explicit length', () => {
  test('that the file does not have ends the connection before a byte', async () => {
    const ranges = [
      { length: bytes.length + 1 },
      { offset: 1, length: bytes.length },
      { offset: bytes.length, length: 1 },
      { offset: 2n ** 60n, length: 1n },
    ];
    for (const range of ranges) {
      const results = [];
      const { port } = await httpServer((_req, res) => results.push(outcome(transfer(res, file, range))));
      const client = connect(port);
      client.send('/');
      expect(await client.rest()).toHaveLength(0);
      expect(await Promise.all(results)).toEqual([{ code: 'ERR_SENDFILE_TRUNCATED', bytesSent: 0 }]);
    }
  });

  test('that ends where the file does is kept', async () => {
    const { response, after } = await exchange(async (res) => {
      expect(await transfer(res, file, { offset: bytes.length, length: 0 })).toBe(0);
      res.removeHeader('content-length');
      await transfer(res, file, { offset: 9_000, length: 1_000 });
      res.end();
    });
    expect(response.whole && response.body.equals(bytes.subarray(9_000))).toBe(true);
    expectInStep(after, true);
  });
});

describe('a file that shrinks', () => {
  const size = 32 * 1024 * 1024;
  const content = pattern(size, 5);

  test.each([
    ['sendfile', {}],
    ['copy', { method: 'copy' }],
  ])(
    'under way (%s): ERR_SENDFILE_TRUNCATED, true bytes up to there, and the end of the connection',
    async (_name, options) => {
      const path = tmpFile(content);
      const { response, after, result } = await (async () => {
        const results = [];
        const { port } = await httpServer((req, res) => {
          if (req.url === '/next') return res.end('the next');
          results.push(outcome(transfer(res, path, options)));
        });
        const client = connect(port);
        client.send('/');
        client.send('/next');
        await client.fill();
        fs.truncateSync(path, size / 2);
        const response = await client.response();
        return { response, after: await client.rest(), result: await results[0] };
      })();
      expect(result.code).toBe('ERR_SENDFILE_TRUNCATED');
      expect(result.bytesSent).toBeGreaterThanOrEqual(response.body.length);
      expect(response.whole).toBe(false);
      expect(response.body.equals(content.subarray(0, response.body.length))).toBe(true);
      expectInStep(after, false);
    },
  );

  test('while its transfer waits in the queue: no byte of another kind takes its place', async () => {
    const path = tmpFile(content.subarray(0, 50_000));
    const results = [];
    let first;
    const { port } = await httpServer((req, res) => {
      if (req.url === '/first') first = res;
      else if (req.url === '/next') res.end('the next');
      else {
        results.push(outcome(withFd((fd) => transfer(res, fd), path)));
        res.end();
      }
    });
    const client = connect(port);
    for (const target of ['/first', '/second', '/next']) client.send(target);
    await until(() => results.length === 1, 'the second request');
    fs.truncateSync(path, 20_000);
    first.end('first');
    expect((await client.response()).body.toString()).toBe('first');
    const response = await client.response();
    expect(await results[0]).toEqual({ code: 'ERR_SENDFILE_TRUNCATED', bytesSent: 20_000 });
    // What had been handed to the kernel when the connection was ended may have arrived or not.
    if (response) expect(response.body.equals(content.subarray(0, response.body.length))).toBe(true);
    expectInStep(await client.rest(), false);
  });

  test('chunked: the body has no end', async () => {
    const path = tmpFile(content);
    const results = [];
    const { port } = await httpServer((_req, res) => {
      res.writeHead(200);
      results.push(outcome(transfer(res, path)));
    });
    const client = connect(port);
    client.send('/');
    await client.fill();
    fs.truncateSync(path, size / 2);
    const response = await client.response();
    expect(response).toMatchObject({ framing: 'chunked', whole: false });
    expect((await results[0]).code).toBe('ERR_SENDFILE_TRUNCATED');
  });
});

test('a file that grows: no byte more than it had when the transfer began', async () => {
  const path = tmpFile(bytes);
  const results = [];
  let first;
  const { port } = await httpServer((req, res) => {
    if (req.url === '/first') first = res;
    else if (req.url === '/next') res.end('the next');
    else {
      results.push(outcome(withFd((fd) => transfer(res, fd), path)));
      res.end();
    }
  });
  const client = connect(port);
  for (const target of ['/first', '/second', '/next']) client.send(target);
  await until(() => results.length === 1, 'the second request');
  fs.appendFileSync(path, 'more');
  first.end('first');
  await client.response();
  expect((await client.response()).body.equals(bytes)).toBe(true);
  expect((await client.response()).body.toString()).toBe('the next');
});

describe('an upload that is ended short of its Content-Length', () => {
  test('does not leave its connection to the agent', async () => {
    const http = require('node:http');
    const requests = [];
    const { port } = await httpServer((req, res) => {
      requests.push(req.url);
      // It answers without waiting for the rest, as a server that refuses an upload does.
      if (req.method === 'POST') req.once('data', () => res.end('early'));
      else res.end(req.url);
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (options, send) =>
      new Promise((resolve) => {
        const req = http.request({ host: '127.0.0.1', port, agent, ...options }, (res) => {
          const chunks = [];
          res.on('data', (chunk) => chunks.push(chunk));
          res.on('close', () => resolve(Buffer.concat(chunks).toString()));
        });
        req.on('error', (error) => resolve(error.code));
        req.setTimeout(2_000, () => req.destroy());
        send(req);
      });
    await ask(
      { method: 'POST', path: '/1', headers: { 'Content-Length': bytes.length + 500 } },
      async (req) => {
        await outcome(transfer(req, file));
        req.end();
      },
    );
    expect(await ask({ path: '/2' }, (req) => req.end())).toBe('/2');
    expect(requests).toEqual(['/1', '/2']);
    agent.destroy();
  });
});
