'use strict';

/**
 * The clocks of a server: while a transfer's bytes move none of them fires, and each fires when nothing moves, as beside
 * a plain response. `clientError` hears of the client's errors alone.
 */

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const { transfer } = require('..');
const { pattern, readBytes, runInChild, tmpFile, tmpPath, until } = require('./helpers');
const { closeAll, failure, keep } = require('./streams');

afterEach(closeAll);

const SIZE = 4 << 20;
const bytes = pattern(SIZE, 61);
const file = tmpFile(bytes);
/** Long enough for a machine that is busy otherwise. */
const MS = 1000;

/** An HTTP server on a unix socket, whose buffers are small, and a client that reads nothing yet. */
async function serve(handler, prepare = () => {}, options = {}) {
  const server = keep(http.createServer(options, handler));
  prepare(server);
  const path = tmpPath('socket');
  server.listen(path);
  await once(server, 'listening');
  const client = keep(net.connect(path));
  client.on('error', () => {});
  client.pause();
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  return { server, client };
}

/** Reads all of the response, for half as long again as `MS`, with no pause as long as that. */
async function readFor(client, length) {
  const began = performance.now();
  let read = 0;
  while (read < length) {
    const part = Math.min(length - read, 64 * 1024);
    const { length: got } = await readBytes(client, part);
    read += got;
    if (got < part) break;
    if (performance.now() - began < 1.6 * MS) await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return { read, took: performance.now() - began };
}

/** Every way of setting a clock: what is set, and what it says when it fires. */
const clocks = {
  'socket.setTimeout': (_server, req, _res, fire) => req.socket.setTimeout(MS, fire),
  'req.setTimeout': (_server, req, _res, fire) => req.setTimeout(MS, fire),
  'res.setTimeout': (_server, _req, res, fire) => res.setTimeout(MS, fire),
  'server.setTimeout with a callback': (server, _req, _res, fire) => server.setTimeout(MS, fire),
  'server.timeout': (server, _req, _res, fire) => {
    server.timeout = MS;
    server.on('timeout', fire);
  },
};

/** The ways of giving a response its bytes. */
const givers = {
  plain: (res) => new Promise((resolve) => res.write(bytes, resolve)).then(() => SIZE),
  'method auto': (res) => transfer(res, file),
  'method copy': (res) => transfer(res, file, { method: 'copy' }),
};

/** A response under way beside one clock: `fired` how often, `closed` by the server. */
async function beside([name, set], give) {
  const seen = { fired: 0, closed: false };
  const fire = () => void seen.fired++;
  /** The server's own clocks hold for the connections that come after they were set. */
  const ofServer = name.startsWith('server');
  const { client } = await serve(
    (req, res) => {
      if (!ofServer) set(null, req, res, fire);
      req.socket.on('close', () => {
        seen.closed = true;
      });
      seen.sending = give(res).then(
        () => res.end(),
        ({ code }) => code,
      );
    },
    (server) => ofServer && set(server, null, null, fire),
  );
  await until(() => seen.sending !== undefined, 'the request');
  return { client, seen };
}

/** One thing with all clocks at once, by one way: `{ clock: what came of it }`. */
async function withAllClocks(way, use) {
  const found = await Promise.all(
    Object.entries(clocks).map(async (clock) => {
      const { client, seen } = await beside(clock, givers[way]);
      return [clock[0], await use(client, seen)];
    }),
  );
  return Object.fromEntries(found);
}

test('no clock fires while bytes move, by whatever way', async () => {
  const moving = async (client, seen) => {
    const { read, took } = await readFor(client, SIZE);
    return { read, fired: seen.fired, long: took > 1.3 * MS };
  };
  const all = await Promise.all(Object.keys(givers).map((way) => withAllClocks(way, moving)));
  const expected = { read: SIZE, fired: 0, long: true };
  for (const seen of all) {
    for (const [clock, one] of Object.entries(seen))
      expect({ clock, ...one }).toEqual({ clock, ...expected });
  }
});

test('a clock fires when none do, and does what it does beside a plain response', async () => {
  const stuck = async (client, seen) => {
    await until(() => seen.fired > 0 || seen.closed, 'the clock');
    const { read } = await readFor(client, SIZE);
    return { fired: seen.fired > 0, whole: read === SIZE };
  };
  const [plain, ...ours] = await Promise.all(Object.keys(givers).map((way) => withAllClocks(way, stuck)));
  expect(plain['res.setTimeout']).toEqual({ fired: true, whole: true });
  // Node itself ends the connection where nobody but the socket's own listener hears of it.
  expect(plain['socket.setTimeout']).toEqual({ fired: true, whole: false });
  for (const one of ours) expect(one).toEqual(plain);
});

test("a server's timeouts for requests and for idle connections do not count a transfer's time, and count after it", async () => {
  const errors = [];
  const one = async (give) => {
    const options = {
      requestTimeout: MS,
      headersTimeout: MS,
      keepAliveTimeout: MS,
      keepAliveTimeoutBuffer: 0,
      connectionsCheckingInterval: 50,
    };
    let closedAt = 0;
    let endedAt = 0;
    const { client } = await serve(
      (req, res) => {
        res.setHeader('Content-Length', SIZE);
        req.socket.on('close', () => {
          closedAt = performance.now();
        });
        res.on('finish', () => {
          endedAt = performance.now();
        });
        give(res).then(() => res.end(), errors.push);
      },
      (server) => server.on('clientError', (error) => errors.push(error)),
      options,
    );
    const { read, took } = await readFor(client, SIZE);
    expect(read).toBe(SIZE);
    expect(took).toBeGreaterThan(1.3 * MS);
    client.resume();
    await until(() => closedAt > 0, 'the end of the idle connection');
    expect(closedAt - endedAt).toBeGreaterThan(MS / 2);
  };
  await Promise.all(Object.values(givers).map(one));
  expect(errors).toEqual([]);
});

describe("'clientError'", () => {
  test('is raised by what its client sends amid a transfer, as amid a plain response', async () => {
    const seen = {};
    for (const [way, give] of Object.entries(givers)) {
      const raised = [];
      let sending;
      const { client } = await serve(
        (_req, res) => {
          res.setHeader('Content-Length', SIZE);
          sending = give(res).catch(({ code }) => code);
        },
        (server) =>
          server.on('clientError', (error, socket) => {
            raised.push(error.code);
            socket.destroy();
          }),
      );
      await until(() => sending !== undefined, 'the request');
      client.write('NO SUCH THING\r\n\r\n');
      await until(() => raised.length > 0, "'clientError'");
      seen[way] = raised;
      if (way !== 'plain') expect(await sending).toBe('ERR_STREAM_PREMATURE_CLOSE');
    }
    expect(seen.plain[0]).toMatch(/^HPE_/);
    for (const one of Object.values(seen)) expect(one).toEqual(seen.plain);
  });

  test('is not raised by a transfer that is aborted, timed out or cut short', async () => {
    const raised = [];
    const ends = {
      ABORT_ERR: (res, way) => {
        const controller = new AbortController();
        setImmediate(() => setImmediate(() => controller.abort()));
        return transfer(res, file, { method: way, signal: controller.signal });
      },
      ERR_SENDFILE_TIMEOUT: (res, way) => transfer(res, file, { method: way, timeout: 50 }),
      ERR_SENDFILE_TRUNCATED: (res, way) => transfer(res, file, { method: way, length: 2 * SIZE }),
    };
    for (const way of ['auto', 'copy']) {
      for (const [code, end] of Object.entries(ends)) {
        let sending;
        await serve(
          (_req, res) => {
            sending = failure(end(res, way));
          },
          (server) => server.on('clientError', (error) => raised.push(error)),
        );
        await until(() => sending !== undefined, 'the request');
        expect(await sending).toMatchObject({ code });
      }
    }
    await new Promise(setImmediate);
    expect(raised).toEqual([]);
  });
});

describe('a rejection that nobody catches ends the process as any other does', () => {
  const program = (body) => `
    const { transfer } = require('.');
    const { PassThrough } = require('node:stream');
    const { socketPair } = require('./__test__/helpers');
    process.on('exit', (code) => console.log('exit ' + code));
    (async () => {
      const { near, far } = await socketPair({ unix: true });
      setTimeout(() => {}, 20_000);
      ${body}
    })();
  `;
  test.each([
    ['of a path that is not there', "transfer(near, '/does/not/exist');", 'ENOENT'],
    [
      'of a peer that leaves',
      'transfer(near, __filename); transfer(near, FILE); far.destroy();',
      'ERR_STREAM_PREMATURE_CLOSE',
    ],
    ['of a timeout', 'transfer(near, FILE, { timeout: 50 });', 'ERR_SENDFILE_TIMEOUT'],
    [
      'of a stream that is destroyed',
      'const to = new PassThrough(); transfer(to, FILE); setImmediate(() => to.destroy());',
      'ERR_STREAM_PREMATURE_CLOSE',
    ],
  ])('%s', async (_of, body, code) => {
    const text = program(
      body.replaceAll('__filename', JSON.stringify(__filename)).replaceAll('FILE', JSON.stringify(file)),
    );
    const ended = await runInChild(text);
    expect(ended).toMatchObject({ code: 1, stdout: 'exit 1\n' });
    expect(ended.stderr).toContain(code);
    expect(ended.stderr).toContain('bytesSent');
  });
});
