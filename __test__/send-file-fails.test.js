'use strict';

/**
 * A file that has changed between `send`'s look at it and its opening, or that changes while it is sent: the answer and
 * the events are `send`'s.
 */

const fs = require('node:fs');
const path = require('node:path');
const { pattern, root: project, runInChild, tmpPath, until } = require('./helpers');
const { versions, expectSame, play } = require('./send-play');
const { expectBytes } = require('./streams');

const bytes = pattern(6_000_000, 8);
const root = tmpPath('changing');
const file = path.join(root, 'file.bin');

beforeEach(() => {
  fs.rmSync(root, { recursive: true, force: true });
  fs.mkdirSync(root);
});

function replaceBy(make) {
  fs.rmSync(file);
  make();
}

/** What happens to the file once its headers are about to be set, and what comes of it. */
const changes = {
  'is removed': [() => fs.rmSync(file), 404],
  'is a directory now': [() => replaceBy(() => fs.mkdirSync(file)), 500],
  'is a link to itself now': [() => replaceBy(() => fs.symlinkSync(file, file)), 500],
  'has lost its directory': [() => fs.rmSync(root, { recursive: true }), 404],
};

/** Makes the file, and has it changed before it is opened. */
const changing = (change) => ({
  url: '/file.bin',
  options: { root },
  prepare: () => {
    fs.rmSync(root, { recursive: true, force: true });
    fs.mkdirSync(root);
    fs.writeFileSync(file, bytes);
    fs.utimesSync(file, 1e9, 1e9);
  },
  listen: (sending) => sending.on('headers', change),
});

describe.each(versions)('over %s', (_version, plain, ours) => {
  test.each(Object.entries(changes))('a file that %s', async (_name, [change, status]) => {
    const result = await expectSame(plain, ours, changing(change));
    expect(result.got).toMatchObject({ status, whole: true });
    // The page of the error, and no header of the file.
    expect(result.got.headers).toMatchObject({ 'content-type': expect.stringMatching(/^text\/html/i) });
    expect(result.got.headers).not.toHaveProperty('etag');
  });

  test.each(Object.entries(changes))(
    'a file that %s, and somebody listens',
    async (_name, [change, status]) => {
      const exchange = changing(change);
      const { listen } = exchange;
      const result = await expectSame(plain, ours, {
        ...exchange,
        listen: (sending, res) => {
          listen(sending);
          sending.on('error', (error) => {
            res.removeHeader('Content-Length');
            res.statusCode = error.status;
            res.end(error.code);
          });
        },
      });
      expect(result.got.status).toBe(status);
    },
  );

  test('a file that has grown is sent as long as it was', async () => {
    const exchange = changing(() => fs.appendFileSync(file, 'more'));
    const result = await expectSame(plain, ours, exchange);
    expectBytes(result.got.body, bytes);
  });

  // `send` ends such a response short of its Content-Length and keeps the connection: what comes next on it is taken for
  // the rest. So here alone the connection ends.
  test('a file that has shrunk is sent as far as it goes, and its connection ends', async () => {
    const exchange = changing(() => fs.truncateSync(file, 1000));
    const { got, seen } = await play(ours, {
      ...exchange,
      read: async (client) => {
        const response = await client.response();
        return { ...response, over: client.over };
      },
    });
    expect(got).toMatchObject({ status: 200, whole: false, over: true });
    expectBytes(got.body, bytes.subarray(0, 1000));
    expect(seen).toContain('end');
  });

  test('a file that is cut off half-way is sent as far as it goes, and its connection ends', async () => {
    const { got } = await play(ours, {
      ...changing(() => {}),
      read: async (client, server) => {
        await until(() => server.res?.socket?.writableLength > 0, 'a full socket');
        fs.truncateSync(file, 5_999_000);
        const response = await client.response();
        return { ...response, over: client.over };
      },
    });
    expect(got).toMatchObject({ status: 200, whole: false, over: true });
    expect(got.body.length).toBeLessThanOrEqual(5_999_000);
    expectBytes(got.body, bytes.subarray(0, got.body.length));
  });
});

/** A process whose descriptors are gone when the file is to be opened; prints its record. */
const scarce = (send) => `
  const fs = require('node:fs');
  const http = require('node:http');
  const send = require(${JSON.stringify(send)});
  const taken = [];
  const seen = [];
  const server = http.createServer((req, res) => {
    const sending = send(req, '/send.js', { root: ${JSON.stringify(project)} });
    sending.on('headers', () => {
      try {
        for (;;) taken.push(fs.openSync('/dev/null'));
      } catch (error) {
        seen.push(error.code);
      }
    });
    sending.on('error', (error) => {
      seen.push(error.status + ' ' + error.code);
      for (const fd of taken) fs.closeSync(fd);
      res.statusCode = error.status;
      res.removeHeader('Content-Length');
      res.end('sorry');
    });
    sending.on('end', () => seen.push('end'));
    sending.pipe(res);
  });
  server.listen(0, '127.0.0.1', () => {
    http.get({ port: server.address().port, agent: false }, (res) => {
      res.resume().on('end', () => {
        console.log(JSON.stringify([res.statusCode, ...seen]));
        server.close();
      });
    });
  });`;

test('no descriptor left to open it by is 500, as with send', async () => {
  const run = (send) => runInChild(scarce(send), { under: ['prlimit', '--nofile=64'] });
  const [plain, ours] = await Promise.all([run('send'), run('rs-sendfile/send')]);
  expect(plain).toMatchObject({ code: 0, stderr: '', stdout: '[500,"EMFILE","500 EMFILE"]\n' });
  expect(ours).toEqual(plain);
});
