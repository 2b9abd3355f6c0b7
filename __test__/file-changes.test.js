'use strict';

/**
 * Files that change while a response is made of them, whichever way its bytes take. What was promised is kept to the
 * byte, or the connection dies with an error that says so; it is never used again.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { transfer } = require('..');
const { listen, openFds, pattern, readAll, tmpFile, tmpPath, until } = require('./helpers');
const { closeAll, expectBytes, keep } = require('./streams');
const { methods } = require('./ways');

afterEach(closeAll);

const SIZE = 4 << 20;
const HALF = SIZE / 2;
const content = pattern(SIZE, 71);
const other = pattern(SIZE, 72);
const pem = fs.readFileSync(path.join(__dirname, 'fixtures', 'localhost.pem'));

/** A write that is not Node's own: what an instrumented server has. */
function patch(res) {
  const { write } = res;
  res.write = function patched(...given) {
    return write.apply(this, given);
  };
}

/** The ways that the bytes of a response may take. */
const ways = [
  ...methods('sendfile', 'copy').map((method) => [`method '${method}'`, { options: { method } }]),
  ['TLS', { secure: true }],
  ['a patched response', { before: patch }],
];

/**
 * A server of one file and one client with one connection, kept alive. Over unix sockets, so that little of a response
 * is on its way while its client does not read.
 */
async function serve(file, { options = {}, secure = false, before = () => {} }) {
  const outcomes = [];
  const handler = (req, res) => {
    before(res);
    if (req.url === '/next') return res.end('the next');
    // Without a length of its own a patched response would be chunked.
    const sending = transfer(res, file, options).then(
      (bytes) => {
        res.end();
        return { bytes };
      },
      ({ code, bytesSent }) => ({ code, bytesSent }),
    );
    outcomes.push(sending);
  };
  const server = keep(
    secure ? https.createServer({ key: pem, cert: pem }, handler) : http.createServer(handler),
  );
  const socketPath = await listen(server, { path: tmpPath('socket') });
  let connections = 0;
  server.on('connection', () => connections++);
  const { Agent, get } = secure ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  keep({ destroy: () => agent.destroy(), on() {} });

  /** Asks; does `change` once the first bytes are here; and tells what has come. */
  async function ask(url, change = () => {}) {
    const req = get({ socketPath, path: url, agent, rejectUnauthorized: false });
    const [res] = await once(req, 'response');
    const chunks = [];
    const over = new Promise((resolve) => {
      res.once('end', resolve).once('error', resolve);
    });
    const first = new Promise((resolve) => {
      res.once('data', () => {
        res.pause();
        resolve();
      });
    });
    res.on('data', (chunk) => chunks.push(chunk));
    await first;
    await change();
    res.resume();
    const error = await over;
    return { body: Buffer.concat(chunks), error, promised: Number(res.headers['content-length']) };
  }
  return { ask, outcomes, connections: () => connections };
}

/** The first response's connection is gone: the next request is answered, on another one. */
async function expectDead({ ask, connections }) {
  const { body, error } = await ask('/next');
  expect(error).toBeUndefined();
  expect(body.toString()).toBe('the next');
  expect(connections()).toBe(2);
}

/** The connection is in step: the next request is answered on it. */
async function expectAlive({ ask, connections }) {
  expect((await ask('/next')).body.toString()).toBe('the next');
  expect(connections()).toBe(1);
}

const openHere = (file) => [...openFds().values()].filter((name) => name.startsWith(file));

describe.each(ways)('a response by %s', (_name, way) => {
  test.each([
    ['half its length', HALF],
    ['nothing', 0],
  ])('whose file is cut to %s: ERR_SENDFILE_TRUNCATED, and a dead connection', async (_to, length) => {
    const file = tmpFile(content);
    const server = await serve(file, way);
    const { body, error, promised } = await server.ask('/', () => fs.truncateSync(file, length));
    expect(promised).toBe(SIZE);
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    const outcome = await server.outcomes[0];
    expect(outcome.code).toBe('ERR_SENDFILE_TRUNCATED');
    // What had been sent before the cut is true, and so is the count.
    expect(outcome.bytesSent).toBeLessThan(SIZE);
    expect(outcome.bytesSent).toBeGreaterThanOrEqual(body.length);
    if (length > 0) expect(outcome.bytesSent).toBeLessThanOrEqual(length + (way.secure ? 65536 : 0));
    expectBytes(body, content.subarray(0, body.length));
    await expectDead(server);
    await until(() => openHere(file).length === 0, 'the file to be closed');
  });

  test('whose file is cut and written anew keeps its promise, or dies', async () => {
    const file = tmpFile(content);
    const server = await serve(file, way);
    const { body, error } = await server.ask('/', () => {
      fs.truncateSync(file, 0);
      fs.writeFileSync(file, other, { flag: 'r+' });
    });
    const outcome = await server.outcomes[0];
    // Each byte is of the file as it was, or as it is now, at its own place.
    let at = 0;
    while (at < body.length && body[at] === content[at]) at++;
    expectBytes(body.subarray(at), other.subarray(at, body.length));
    if (error) {
      expect(outcome.code).toBe('ERR_SENDFILE_TRUNCATED');
      await expectDead(server);
    } else {
      expect(outcome).toEqual({ bytes: SIZE });
      expect(body).toHaveLength(SIZE);
      await expectAlive(server);
    }
  });

  test.each([
    ['grows', (file) => fs.appendFileSync(file, other)],
    ['is deleted', (file) => fs.unlinkSync(file)],
    ['is replaced', (file) => fs.renameSync(tmpFile(other), file)],
    ['is made unreadable', (file) => fs.chmodSync(file, 0)],
  ])('whose file %s is the file as it was', async (_change, change) => {
    const file = tmpFile(content);
    const server = await serve(file, way);
    const { body, error, promised } = await server.ask('/', () => change(file));
    expect(error).toBeUndefined();
    expect(promised).toBe(SIZE);
    expectBytes(body, content);
    expect(await server.outcomes[0]).toEqual({ bytes: SIZE });
    await expectAlive(server);
    await until(() => openHere(file).length === 0, 'the file to be closed');
  });
});

test('a chunked response whose file is cut has no end', async () => {
  const file = tmpFile(content);
  const server = await serve(file, { before: (res) => res.setHeader('Transfer-Encoding', 'chunked') });
  const { body, error } = await server.ask('/', () => fs.truncateSync(file, HALF));
  expect(error).toMatchObject({ code: 'ECONNRESET' });
  expect((await server.outcomes[0]).code).toBe('ERR_SENDFILE_TRUNCATED');
  expectBytes(body, content.subarray(0, body.length));
  await expectDead(server);
});

test('files that change at any moment never put a response out of step', async () => {
  // Shorter or longer by a little, over and over, under ten clients of one connection each.
  const file = tmpFile(content.subarray(0, 300_000));
  const { port, agents, stop } = await (async () => {
    const server = keep(
      http.createServer((_req, res) => {
        transfer(res, file).then(
          () => res.end(),
          () => res.destroy(),
        );
      }),
    );
    const agents = Array.from({ length: 10 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
    return { port: await listen(server), agents, stop: () => agents.map((agent) => agent.destroy()) };
  })();
  let whole = 0;
  let cut = 0;
  let done = false;
  const changing = (async () => {
    for (let i = 0; !done; i++) {
      fs.truncateSync(file, 100_000 + ((i * 7919) % 200_000));
      await new Promise(setImmediate);
      fs.writeFileSync(file, content.subarray(0, 300_000), { flag: 'r+' });
      await new Promise(setImmediate);
    }
  })();
  const ask = (agent) =>
    new Promise((resolve, reject) => {
      const req = http.get({ host: '127.0.0.1', port, agent }, (res) => {
        readAll(res).then(
          (body) => {
            // Whole by its own head, and of the file. What is cut off a page on its way is zeros for a moment.
            if (body.length !== Number(res.headers['content-length']))
              return reject(new Error('out of step'));
            const isRight = body.every((byte, i) => byte === content[i] || byte === 0);
            if (!isRight) return reject(new Error('a wrong byte'));
            whole += 1;
            resolve();
          },
          () => {
            cut += 1;
            resolve();
          },
        );
      });
      req.on('error', (error) => {
        // Node's parser tells of bytes that are no response.
        if (/^HPE_/.test(error.code)) reject(error);
        cut += 1;
        resolve();
      });
    });
  try {
    await Promise.all(
      agents.map(async (agent) => {
        for (let i = 0; i < 30; i++) await ask(agent);
      }),
    );
  } finally {
    done = true;
    await changing;
    stop();
  }
  expect(whole + cut).toBe(300);
  expect(whole).toBeGreaterThan(0);
});
