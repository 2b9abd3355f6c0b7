'use strict';

/** What a transfer makes of a response, its head, its body and its connection, and of an upload. */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const { Transform } = require('node:stream');
const { transfer } = require('..');
const { pattern, readAll, runInChild, tmpFile, tmpPath, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');

const bytes = pattern(20_011, 3);
const file = tmpFile(bytes);
const large = tmpFile(64 * 1024 * 1024);
const turn = () => new Promise(setImmediate);

/** Calls `use` with an fd of the file that is closed right after. */
function withFd(use, path = file) {
  const fd = fs.openSync(path);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** How a promise ended: `{ bytes }` or `{ code, bytesSent }`. */
const outcome = (promise) =>
  promise.then(
    (sent) => ({ bytes: sent }),
    (error) => ({ code: error.code, bytesSent: error.bytesSent }),
  );

/**
 * Asks a server that runs `handler`: the first response, and whether the connection serves another request after it.
 * A handler that throws answers with 599 and the error's code.
 */
async function ask(handler, { method = 'GET', headers = [], request } = {}) {
  const errors = [];
  const { server, port } = await httpServer((req, res) => {
    if (req.url === '/again') return res.end('again');
    Promise.resolve(handler(req, res)).catch((error) => {
      errors.push(error);
      res.destroy();
    });
  });
  server.on('clientError', (error, socket) => {
    errors.push(error);
    socket.destroy();
  });
  const client = connect(port);
  if (request) client.write(request);
  else client.send('/', method, headers);
  const response = await client.response(method);
  if (errors.length > 0) throw errors[0];
  client.send('/again');
  const again = await client.response();
  if (errors.length > 0) throw errors[0];
  return { ...response, reused: again?.body.toString() === 'again' };
}

const whole = { status: 200, framing: 'length', whole: true, body: bytes, reused: true };

describe('Content-Length', () => {
  test('is set where nothing else ends the body', async () => {
    const answer = await ask(async (_req, res) => {
      await transfer(res, file);
      expect(res.getHeader('content-length')).toBe(bytes.length);
      res.end();
    });
    expect(answer).toMatchObject({ ...whole, headers: { 'content-length': String(bytes.length) } });
    expect(answer.headers).not.toHaveProperty('transfer-encoding');
  });

  test('counts headers and trailers', async () => {
    const answer = await ask(async (_req, res) => {
      await transfer(res, file, { offset: 10, length: 20, headers: 'before', trailers: ['af', 'ter'] });
      res.end();
    });
    expect(answer.headers['content-length']).toBe('31');
    expect(answer.body).toEqual(
      Buffer.concat([Buffer.from('before'), bytes.subarray(10, 30), Buffer.from('after')]),
    );
  });

  test("stays the caller's, by setHeader or by writeHead", async () => {
    for (const set of [
      (res) => res.setHeader('Content-Length', String(bytes.length)),
      (res) => res.writeHead(200, { 'Content-Length': bytes.length }),
      (res) => res.writeHead(200, 'Fine', ['content-length', bytes.length, 'x-y', 'z']),
    ]) {
      const answer = await ask(async (_req, res) => {
        set(res);
        await transfer(res, file);
        res.end();
      });
      expect(answer).toMatchObject(whole);
    }
  });

  test('is not set beside a Transfer-Encoding', async () => {
    const answer = await ask(async (_req, res) => {
      res.setHeader('Transfer-Encoding', 'chunked');
      await transfer(res, file);
      res.end();
    });
    expect(answer).toMatchObject({ ...whole, framing: 'chunked' });
  });

  test('cannot be set any more once the headers are sent without one: the body is chunked', async () => {
    for (const begin of [(res) => res.writeHead(200), (res) => res.flushHeaders()]) {
      const answer = await ask(async (_req, res) => {
        begin(res);
        await turn();
        await transfer(res, file);
        res.end();
      });
      expect(answer).toMatchObject({ ...whole, framing: 'chunked' });
    }
  });

  test('is 0 for an empty file', async () => {
    const answer = await ask(async (_req, res) => {
      expect(await transfer(res, tmpFile(0))).toBe(0);
      res.end();
    });
    expect(answer).toMatchObject({ framing: 'length', headers: { 'content-length': '0' }, reused: true });
  });
});

describe('a response without a body', () => {
  test('HEAD tells the length and sends nothing, whether written or not', async () => {
    for (const begin of [() => {}, (res) => res.writeHead(200, { 'Content-Length': bytes.length })]) {
      const answer = await ask(
        async (_req, res) => {
          res.setHeader('X-Kept', 'yes');
          begin(res);
          expect(await transfer(res, file)).toBe(0);
          res.end();
        },
        { method: 'HEAD' },
      );
      expect(answer).toMatchObject({
        status: 200,
        reused: true,
        headers: { 'content-length': String(bytes.length), 'x-kept': 'yes' },
      });
    }
  });

  test('204 and 304 tell no length, unless the caller does', async () => {
    for (const status of [204, 304]) {
      const answer = await ask(async (_req, res) => {
        res.statusCode = status;
        expect(await transfer(res, file)).toBe(0);
        res.end();
      });
      expect(answer).toMatchObject({ status, reused: true });
      expect(answer.headers).not.toHaveProperty('content-length');
      expect(answer.headers).not.toHaveProperty('transfer-encoding');
    }
    const answer = await ask(async (_req, res) => {
      res.writeHead(304, { 'Content-Length': 7 });
      expect(await withFd((fd) => transfer(res, fd))).toBe(0);
      res.end();
    });
    expect(answer).toMatchObject({ status: 304, headers: { 'content-length': '7' }, reused: true });
  });
});

describe('connections', () => {
  test('HTTP/1.0 gets a length and the end of the connection', async () => {
    const answer = await ask(
      async (_req, res) => {
        await transfer(res, file);
        res.end();
      },
      { request: 'GET / HTTP/1.0\r\n\r\n' },
    );
    expect(answer).toMatchObject({ ...whole, reused: false, headers: { connection: 'close' } });
  });

  test('HTTP/1.0, headers sent without a length: the connection ends the body', async () => {
    const answer = await ask(
      async (_req, res) => {
        res.writeHead(200);
        await transfer(res, file);
        res.end();
      },
      { request: 'GET / HTTP/1.0\r\n\r\n' },
    );
    expect(answer).toMatchObject({ ...whole, framing: 'close', reused: false });
  });

  test('HTTP/1.0 with keep-alive goes on', async () => {
    const answer = await ask(
      async (_req, res) => {
        await transfer(res, file);
        res.end();
      },
      { request: 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n' },
    );
    expect(answer).toMatchObject(whole);
  });

  test('Connection: close, asked for by either side, closes after the last byte', async () => {
    const sides = [
      [{ headers: ['Connection: close'] }, () => {}],
      [{}, (res) => res.setHeader('Connection', 'close')],
    ];
    for (const [options, begin] of sides) {
      const answer = await ask((_req, res) => {
        begin(res);
        const sent = withFd((fd) => transfer(res, fd));
        res.end();
        return sent;
      }, options);
      expect(answer).toMatchObject({ ...whole, reused: false, headers: { connection: 'close' } });
    }
  });

  test('Expect: 100-continue is answered before', async () => {
    const { port } = await httpServer(async (req, res) => {
      const body = await readAll(req);
      res.setHeader('X-Got', String(body));
      await transfer(res, file);
      res.end();
    });
    const client = connect(port);
    client.send('/', 'POST', ['Expect: 100-continue', 'Content-Length: 4']);
    expect((await client.response()).status).toBe(100);
    client.write('body');
    expect(await client.response()).toMatchObject({ status: 200, body: bytes, headers: { 'x-got': 'body' } });
  });

  test('a request body that nobody reads does not get into the next response', async () => {
    const answer = await ask(
      async (_req, res) => {
        await transfer(res, file);
        res.end();
      },
      { request: `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n${'x'.repeat(30_000)}` },
    );
    expect(answer).toMatchObject(whole);
  });

  test('a response without its socket waits in the queue behind another', async () => {
    const waiting = [];
    const { port } = await httpServer(async (req, res) => {
      if (req.url === '/first') return waiting.push(res);
      expect(res.socket).toBe(null);
      const sent = withFd((fd) => transfer(res, fd));
      waiting[0].end('first');
      await sent;
      res.end();
    });
    const client = connect(port);
    client.send('/first');
    client.send('/second');
    expect((await client.response()).body.toString()).toBe('first');
    expect(await client.response()).toMatchObject({ body: bytes, whole: true });
  });
});

/** Two responses in a queue: the first waits, the second has a transfer in it. */
async function queued(use) {
  const results = [];
  let first;
  const { port } = await httpServer((req, res) => {
    if (req.url === '/first') first = res;
    else if (req.url === '/third') res.end('third');
    else results.push(use(res));
  });
  const client = connect(port);
  for (const target of ['/first', '/second', '/third']) client.send(target);
  await until(() => results.length === 1, 'the second request');
  return { client, first, result: await results[0] };
}

describe('a response that is ended from outside while it waits behind another', () => {
  /** The client may get nothing or a part of the second response, and then no byte of the third's. */
  async function endsInStep(client, first) {
    first.end('first');
    expect((await client.response())?.body?.toString() ?? 'first').toBe('first');
    const rest = (await client.rest()).toString();
    expect(rest).not.toContain('third');
  }

  test('by its signal: the third response does not become its body', async () => {
    const control = new AbortController();
    const { client, first, result } = await queued((res) => {
      const sent = outcome(withFd((fd) => transfer(res, fd, { signal: control.signal })));
      res.end();
      control.abort();
      return sent;
    });
    expect(result).toEqual({ code: 'ABORT_ERR', bytesSent: 0 });
    await endsInStep(client, first);
  });

  test('by its signal, and ended by the handler afterwards', async () => {
    const control = new AbortController();
    const { client, first, result } = await queued(async (res) => {
      const sent = outcome(withFd((fd) => transfer(res, fd, { signal: control.signal })));
      control.abort();
      const ended = await sent;
      res.end();
      return ended;
    });
    expect(result).toEqual({ code: 'ABORT_ERR', bytesSent: 0 });
    await endsInStep(client, first);
  });

  test('by its own destroy()', async () => {
    const { client, first } = await queued((res) => {
      const sent = outcome(withFd((fd) => transfer(res, fd)));
      res.end();
      res.destroy();
      // Node 18 and 20 tell it only once it has its socket, which may be never.
      sent.then((ended) => expect(ended.code).toBe('ERR_STREAM_PREMATURE_CLOSE'));
    });
    await endsInStep(client, first);
  });

  test('by its timeout', async () => {
    const { client, first, result } = await queued((res) => {
      const sent = outcome(withFd((fd) => transfer(res, fd, { timeout: 20 })));
      res.end();
      return sent;
    });
    expect(result).toEqual({ code: 'ERR_SENDFILE_TIMEOUT', bytesSent: 0 });
    await endsInStep(client, first);
  });

  test('by its client leaving', async () => {
    const sent = [];
    const { port } = await httpServer((_req, res) => {
      sent.push(outcome(withFd((fd) => transfer(res, fd), large)));
    });
    const client = connect(port);
    for (let i = 0; i < 5; i++) client.send('/');
    await until(() => sent.length >= 3, 'three requests');
    client.destroy();
    for (const { code } of await Promise.all(sent)) expect(code).toBe('ERR_STREAM_PREMATURE_CLOSE');
  });
});

describe('a response that takes no transfer any more', () => {
  test('already ended', async () => {
    for (const source of [() => file, () => fs.openSync(file)]) {
      let result;
      const answer = await ask(async (_req, res) => {
        res.end('short');
        result = await outcome(transfer(res, source()));
      });
      expect([answer.body.toString(), answer.reused]).toEqual(['short', true]);
      expect(result).toEqual({ code: 'ERR_STREAM_WRITE_AFTER_END', bytesSent: 0 });
    }
  });

  test('destroyed', async () => {
    const results = [];
    const { port } = await httpServer(async (_req, res) => {
      res.destroy();
      results.push(await outcome(transfer(res, file)), await outcome(withFd((fd) => transfer(res, fd))));
    });
    const client = connect(port);
    client.send('/');
    expect(await client.response()).toBe(null);
    await until(() => results.length === 2, 'both outcomes');
    const gone = { code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 };
    expect(results).toEqual([gone, gone]);
  });

  test('its client has left while the path was being opened', async () => {
    const results = [];
    const { port } = await httpServer((req, res) => {
      results.push(outcome(transfer(res, file)));
      req.socket.destroy();
    });
    const client = connect(port);
    client.send('/');
    await client.rest();
    expect(await Promise.all(results)).toEqual([{ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 }]);
  });
});

describe('a write that is not Node’s own', () => {
  test('replaced on the response: every byte goes through it', async () => {
    let seen = 0;
    const answer = await ask(async (_req, res) => {
      const { write } = res;
      res.write = function (chunk, ...rest) {
        seen += chunk.length;
        return write.call(this, chunk, ...rest);
      };
      expect(await transfer(res, file)).toBe(bytes.length);
      res.end();
    });
    expect(answer).toMatchObject(whole);
    expect(seen).toBe(bytes.length);
  });

  test('that transforms, as compression does', async () => {
    const flip = (chunk) => Buffer.from(chunk.map((byte) => byte ^ 255));
    const answer = await ask(async (_req, res) => {
      const stream = new Transform({ transform: (chunk, _encoding, done) => done(null, flip(chunk)) });
      const { write, end, on } = res;
      res.write = (chunk, encoding) => stream.write(chunk, encoding);
      res.end = () => stream.end();
      res.on = (event, listener) =>
        event === 'drain' ? stream.on(event, listener) : on.call(res, event, listener);
      stream.on('data', (chunk) => write.call(res, chunk) || stream.pause());
      on.call(res, 'drain', () => stream.resume());
      stream.on('end', () => end.call(res));
      res.setHeader('Transfer-Encoding', 'chunked');
      await transfer(res, file);
      res.end();
    });
    expect(answer).toMatchObject({ ...whole, framing: 'chunked', body: flip(bytes) });
  });

  test("put on the class after this package was loaded, as a profiler's is", async () => {
    const { write } = http.ServerResponse.prototype;
    let seen = 0;
    http.ServerResponse.prototype.write = function (chunk, ...rest) {
      seen += chunk.length;
      return write.call(this, Buffer.from(chunk), ...rest);
    };
    try {
      const answer = await ask(async (_req, res) => {
        await transfer(res, file);
        res.end();
      });
      expect(answer).toMatchObject(whole);
    } finally {
      delete http.ServerResponse.prototype.write; // it is inherited
      expect(http.ServerResponse.prototype.write).toBe(write);
    }
    expect(seen).toBe(bytes.length);
  });

  test('of the socket, replaced while the response waits for it: never zeros', async () => {
    const { client, first, result } = await queued((res) => {
      const sent = withFd((fd) => transfer(res, fd));
      const { socket } = res.req;
      const { write } = socket;
      socket.write = (chunk, ...rest) => write.call(socket, copyOf(chunk), ...rest);
      res.end();
      return { sent: outcome(sent) };
    });
    first.end('first');
    await client.response();
    const rest = await client.rest();
    // The true bytes or none of them.
    expect(rest.includes(Buffer.alloc(16))).toBe(false);
    expect((await result.sent).code ?? 'whole').toMatch(/ERR_STREAM_PREMATURE_CLOSE|whole/);
  });

  test('below the response, that copies the chunk: every byte goes through it', async () => {
    const answer = await ask(async (_req, res) => {
      const { _send: send } = res;
      res._send = (data, ...rest) => send.call(res, copyOf(data), ...rest);
      expect(await transfer(res, file)).toBe(bytes.length);
      res.end();
    });
    expect(answer).toMatchObject(whole);
  });

  const copyOf = (chunk) => (typeof chunk === 'string' ? chunk : Buffer.from(chunk));

  test("method 'sendfile' is refused, and the response is as it was", async () => {
    const answer = await ask(async (_req, res) => {
      const { write } = res;
      res.write = (...args) => write.apply(res, args);
      const { code } = await outcome(transfer(res, file, { method: 'sendfile' }));
      res.statusCode = 500;
      res.end(code);
    });
    expect(answer).toMatchObject({ status: 500, whole: true, reused: true });
    expect(answer.body.toString()).toMatch(/^(ENOTSUP|EOPNOTSUPP)$/);
  });
});

describe('errors', () => {
  test('of a path leave the response free for another answer', async () => {
    const paths = {
      ENOENT: tmpPath('missing'),
      EISDIR: require('node:os').tmpdir(),
      ENOTDIR: `${file}/below`,
    };
    for (const [code, path] of Object.entries(paths)) {
      const answer = await ask(async (_req, res) => {
        const { code: seen } = await outcome(transfer(res, path));
        expect(res.headersSent).toBe(false);
        expect(res.getHeaderNames()).toEqual([]);
        res.writeHead(404);
        res.end(seen);
      });
      expect([answer.status, answer.body.toString(), answer.reused]).toEqual([404, code, true]);
    }
  });

  test('a handler in the manner of Express: try, catch, next', async () => {
    const handle = async (req, res, next) => {
      try {
        await transfer(res, req.url === '/missing' ? tmpPath() : file);
        res.end();
      } catch (error) {
        if (!res.headersSent) next(error);
      }
    };
    const { port } = await httpServer((req, res) =>
      handle(req, res, (error) => {
        res.statusCode = error.code === 'ENOENT' ? 404 : 500;
        res.end(error.message);
      }),
    );
    const client = connect(port);
    for (const target of ['/', '/missing', '/']) client.send(target);
    expect(await client.response()).toMatchObject({ status: 200, body: bytes });
    expect(await client.response()).toMatchObject({ status: 404, whole: true });
    expect(await client.response()).toMatchObject({ status: 200, body: bytes });
  });

  test("of an abort, a timeout or a truncation raise neither 'clientError' nor 'error'", async () => {
    const events = [];
    const results = [];
    const control = new AbortController();
    const { server, port } = await httpServer((req, res) => {
      const options = {
        '/abort': { signal: control.signal },
        '/timeout': { timeout: 100 },
        '/truncation': { length: 1_000_000 },
      }[req.url];
      const path = req.url === '/truncation' ? file : large;
      for (const emitter of [req.socket, res]) {
        const { emit } = emitter;
        emitter.emit = function (event, ...args) {
          if (event === 'error') events.push(`${req.url} ${event} ${args[0]?.code}`);
          return emit.call(this, event, ...args);
        };
      }
      results.push(outcome(transfer(res, path, options)));
    });
    server.on('clientError', (error, socket) => {
      events.push(`clientError ${error.code}`);
      socket.destroy();
    });
    const clients = ['/abort', '/timeout', '/truncation'].map((target) => {
      const client = connect(port);
      client.send(target);
      return client;
    });
    await clients[0].fill();
    control.abort();
    await until(() => results.length === 3, 'three requests');
    const codes = (await Promise.all(results)).map(({ code }) => code).sort();
    expect(codes).toEqual(['ABORT_ERR', 'ERR_SENDFILE_TIMEOUT', 'ERR_SENDFILE_TRUNCATED']);
    for (const client of clients) await client.rest();
    await turn();
    expect(events).toEqual([]);
  });

  test('a client that resets does not end a process that catches the rejection', async () => {
    const { code, stdout, stderr } = await runInChild(
      `
      const { transfer } = require('.');
      const http = require('node:http');
      const net = require('node:net');
      let left = 20;
      const server = http.createServer(async (req, res) => {
        try {
          await transfer(res, process.env.FILE);
          res.end();
        } catch (error) {
          console.log(error.code);
        }
        if (--left === 0) server.close();
      });
      server.listen(0, '127.0.0.1', () => {
        for (let i = 0; i < 20; i++) {
          const client = net.connect(server.address().port, '127.0.0.1');
          client.write('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');
          client.once('data', () => client.resetAndDestroy());
        }
      });
      `,
      { env: { FILE: large } },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n')).toEqual(Array(20).fill('ERR_STREAM_PREMATURE_CLOSE'));
  });
});

describe('events', () => {
  /** What a response tells, in which order. */
  async function events(answer, leave = false) {
    const seen = [];
    const { port } = await httpServer(async (_req, res) => {
      const { emit } = res;
      res.emit = (event, ...args) => {
        if (['prefinish', 'finish', 'close', 'error'].includes(event)) seen.push(event);
        return emit.call(res, event, ...args);
      };
      await answer(res).catch(() => {});
    });
    const client = connect(port);
    client.send('/');
    if (leave) {
      await client.fill();
      client.destroy();
    } else {
      await client.response();
    }
    await until(() => seen.includes('close'), "'close'");
    await turn();
    return seen;
  }

  test('are those of a plain response, in their order', async () => {
    const plain = await events(async (res) => void res.end(bytes));
    expect(plain).toEqual(['prefinish', 'finish', 'close']);
    expect(await events((res) => transfer(res, file).then(() => res.end()))).toEqual(plain);
    const atOnce = await events((res) => {
      const sent = withFd((fd) => transfer(res, fd));
      res.end();
      return sent;
    });
    expect(atOnce).toEqual(plain);
  });

  test("a client that leaves: 'close' alone", async () => {
    expect(await events((res) => transfer(res, large), true)).toEqual(['close']);
  });

  test('a rejection that nobody catches is heard by the process, for a response that waits as well', async () => {
    const { code, stderr } = await runInChild(
      `
      const http = require('node:http');
      const net = require('node:net');
      const fs = require('node:fs');
      const { transfer } = require('.');
      const fd = fs.openSync(${JSON.stringify(file)});
      const server = http.createServer((req, res) => {
        // The first is never answered, so that the second waits behind it.
        if (req.url === '/1') return;
        transfer(res, fd);
        client.destroy();
      });
      let client;
      server.listen(0, '127.0.0.1', () => {
        client = net.connect(server.address().port, '127.0.0.1');
        client.write('GET /1 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET /2 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');
      });
      `,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('ERR_STREAM_PREMATURE_CLOSE');
  });

  test('forty responses in a queue, copied or not, make no listener leak warning', async () => {
    const { code, stderr } = await runInChild(
      `
      const { transfer } = require('.');
      const http = require('node:http');
      const net = require('node:net');
      const server = http.createServer(async (req, res) => {
        if (req.url === '/copied') {
          const { write } = res;
          res.write = (...args) => write.apply(res, args);
        }
        await transfer(res, 'package.json');
        res.end();
      });
      server.listen(0, '127.0.0.1', () => {
        const client = net.connect(server.address().port, '127.0.0.1');
        client.write('GET /copied HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'.repeat(20));
        client.write('GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n');
        client.resume().on('close', () => server.close());
      });
      `,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('an upload by http.request', () => {
  /** A server that tells what it has got, and a client's agent that keeps its connection. */
  async function uploads() {
    const { port } = await httpServer(async (req, res) => {
      const body = await readAll(req);
      const { 'content-length': length, 'transfer-encoding': coding } = req.headers;
      res.end(JSON.stringify({ length, coding, equal: body.equals(bytes), from: req.socket.remotePort }));
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    return {
      agent,
      async upload(headers, send) {
        const req = http.request({ host: '127.0.0.1', port, method: 'POST', agent, headers });
        const answered = once(req, 'response');
        await send(req);
        const [res] = await answered;
        return JSON.parse(await readAll(res));
      },
    };
  }

  test('has an automatic Content-Length, and its connection is used again', async () => {
    const { agent, upload } = await uploads();
    const seen = [];
    for (let i = 0; i < 3; i++) {
      seen.push(
        await upload({}, async (req) => {
          expect(await transfer(req, file)).toBe(bytes.length);
          req.end();
        }),
      );
    }
    for (const one of seen) expect(one).toMatchObject({ length: String(bytes.length), equal: true });
    expect(new Set(seen.map(({ from }) => from)).size).toBe(1);
    agent.destroy();
  });

  test('is chunked where asked to be', async () => {
    const { agent, upload } = await uploads();
    for (let i = 0; i < 2; i++) {
      const seen = await upload({ 'Transfer-Encoding': 'chunked' }, async (req) => {
        await withFd((fd) => transfer(req, fd));
        req.end();
      });
      expect(seen).toMatchObject({ coding: 'chunked', equal: true });
    }
    agent.destroy();
  });

  test('takes writes beside the transfer', async () => {
    const { agent, upload } = await uploads();
    const seen = await upload({ 'Content-Length': bytes.length }, async (req) => {
      req.write(bytes.subarray(0, 10));
      await transfer(req, file, { offset: 10, length: 1000 });
      req.end(bytes.subarray(1010));
    });
    expect(seen).toMatchObject({ length: String(bytes.length), equal: true });
    agent.destroy();
  });

  test('ended at once arrives whole, or fails: never an empty body that looks whole', async () => {
    const { agent, upload } = await uploads();
    let result;
    const seen = await upload({}, async (req) => {
      result = outcome(withFd((fd) => transfer(req, fd)));
      req.end();
      req.on('error', () => {});
    }).catch((error) => error.code);
    if ((await result).code === undefined) expect(seen).toMatchObject({ equal: true });
    else expect(typeof seen).toBe('string');
    agent.destroy();
  });
});
