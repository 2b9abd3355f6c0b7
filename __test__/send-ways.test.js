'use strict';

/** Which responses `rs-sendfile/send` sends by transfers, which it leaves to Node, and that all of them are whole. */

const fs = require('node:fs');
const http2 = require('node:http2');
const https = require('node:https');
const zlib = require('node:zlib');
const compression = require('compression');
const { listen, readAll } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { pem } = require('./kinds');
const { hooked } = require('./piped');
const { versions, root, small, large, expectSame, expectTaken, play, transfersOf } = require('./send-play');
const { closeAll, expectBytes, keep } = require('./streams');

afterEach(closeAll);

const text = fs.readFileSync(`${root}/text.txt`);

describe.each(versions)('over %s', (_version, plain, ours) => {
  test('a response whose write is replaced is written to', async () => {
    let chunks = 0;
    const result = await expectSame(plain, ours, {
      prepare: (res) => {
        const { write } = res;
        res.write = (...args) => {
          chunks++;
          return write.apply(res, args);
        };
      },
    });
    expect(chunks).toBeGreaterThan(1);
    expectBytes(result.got.body, small);
    expectTaken(result, false);
  });

  test('a response whose write is replaced by a listener, at the last moment, is written to', async () => {
    const seen = [];
    const result = await expectSame(plain, ours, {
      listen: (sending, res) =>
        sending.on('stream', () => {
          const { write } = res;
          res.write = (chunk, ...rest) => {
            seen.push(chunk);
            return write.call(res, chunk, ...rest);
          };
        }),
    });
    expectBytes(Buffer.concat(seen), Buffer.concat([small, small]));
    expectTaken(result, false);
  });

  test('a compressed response unpacks to the file', async () => {
    const result = await expectSame(plain, ours, {
      url: '/text.txt',
      headers: ['Accept-Encoding: gzip'],
      prepare: (res, req) => compression({ threshold: 0 })(req, res, () => {}),
    });
    expect(result.got.headers['content-encoding']).toBe('gzip');
    expectBytes(zlib.gunzipSync(result.got.body), text);
    expectTaken(result, false);
  });

  test('what compression leaves alone arrives as it is', async () => {
    const result = await expectSame(plain, ours, {
      url: '/picture.png',
      headers: ['Accept-Encoding: gzip'],
      prepare: (res, req) => compression()(req, res, () => {}),
    });
    expect(result.got.headers).not.toHaveProperty('content-encoding');
    expectBytes(result.got.body, small);
  });

  test('TLS', async () => {
    const server = keep(https.createServer({ key: pem, cert: pem }));
    server.on('request', (req, res) => ours(req, req.url, { root }).pipe(res));
    const port = await listen(server);
    const [body, begun] = await transfersOf(
      () =>
        new Promise((resolve, reject) => {
          const options = { port, path: '/large.bin', rejectUnauthorized: false, agent: false };
          https.get(options, (res) => resolve(readAll(res))).on('error', reject);
        }),
    );
    expectBytes(body, large);
    expect(begun).toEqual([]);
  });

  test('HTTP/2', async () => {
    const server = keep(http2.createServer());
    server.on('request', (req, res) => ours(req, req.url, { root }).pipe(res));
    const port = await listen(server);
    const client = http2.connect(`http://127.0.0.1:${port}`);
    try {
      const [body, begun] = await transfersOf(() => readAll(client.request({ ':path': '/large.bin' })));
      expectBytes(body, large);
      expect(begun).toEqual([]);
    } finally {
      client.close();
    }
  });

  test('under register as well, each file is taken once', async () => {
    const { result, counts } = await hooked(() => play(ours, { url: '/large.bin' }));
    expectBytes(result.got.body, large);
    expect(counts).toEqual({ taken: 1, completed: 1, failed: 0, bytes: large.length, left: {} });
  });
});

test('ten files asked for at once arrive in their order', async () => {
  const [, , ours] = versions[0];
  const { port } = await httpServer((req, res) => ours(req, req.url, { root }).pipe(res));
  const names = ['large', 'small', 'one', 'empty', 'small', 'large', 'one', 'small', 'large', 'small'];
  const client = connect(port);
  for (const name of names) client.send(`/${name}.bin`);
  for (const name of names) {
    const { status, whole, body } = await client.response();
    expect({ status, whole }).toEqual({ status: 200, whole: true });
    expectBytes(body, fs.readFileSync(`${root}/${name}.bin`));
  }
});
