'use strict';

/**
 * The heart: every kind of response there is, hundreds of them pipelined over one connection, and each arrives byte
 * for byte in its place.
 */

const fs = require('node:fs');
const { inspect } = require('node:util');
const { transfer } = require('..');
const { pattern, tmpFile } = require('./helpers');
const { connect, httpServer, paces } = require('./http-client');

const sizes = [0, 1, 64 * 1024, 5 * 1024 * 1024];
const files = sizes.map((size, index) => {
  const bytes = pattern(size, index + 11);
  return { bytes, path: tmpFile(bytes) };
});
const [empty, one, middle, large] = files;

/** A generator of numbers in [0, 1) that a seed repeats. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const pick = (random, list) => list[Math.floor(random() * list.length)];
const below = (random, limit) => Math.floor(random() * limit);
/** Large files are rare: a few of them fill the socket as well as many. */
const someFile = (random) => pick(random, [empty, one, one, middle, middle, middle, large]);
const smallFile = (random) => pick(random, [empty, one, middle]);
const turn = () => new Promise(setImmediate);

/**
 * One exchange at the server: what the handlers below write with. It knows every promise that it has got, to ask when
 * the response finishes.
 */
class Exchange {
  constructor(res) {
    this.res = res;
    this.promises = [];
    this.late = [];
    // Before Node's own listener, which hands the socket to the next response.
    res.prependOnceListener('finish', () => this.onFinish());
  }

  /** A transfer from an fd that is closed at once. */
  fromFd(file, options) {
    const fd = fs.openSync(file.path);
    try {
      return this.keep(transfer(this.res, fd, options));
    } finally {
      fs.closeSync(fd);
    }
  }

  fromPath(file, options) {
    return this.keep(transfer(this.res, file.path, options));
  }

  keep(promise) {
    this.promises.push(promise);
    return promise;
  }

  onFinish() {
    // Whether a promise is settled can be seen at once only so.
    const pending = this.promises.filter((promise) => inspect(promise).includes('<pending>'));
    if (pending.length > 0) this.late.push(`${pending.length} transfers pending at 'finish'`);
    const queued = this.res.socket?.writableLength;
    if (queued !== 0) this.late.push(`${queued} bytes queued at 'finish'`);
  }
}

/**
 * The kinds of exchange. Each says what will come, and how to answer: `handle` gets an Exchange and the response, and
 * its promise is fulfilled when the handler is done.
 */
const kinds = {
  'whole file by path, ended after await': (random) => {
    const file = someFile(random);
    return {
      body: file.bytes,
      async handle(exchange, res) {
        expect(await exchange.fromPath(file)).toBe(file.bytes.length);
        res.end();
      },
    };
  },

  'whole file by fd, ended at once': (random) => {
    const file = someFile(random);
    return {
      body: file.bytes,
      async handle(exchange, res) {
        const sent = exchange.fromFd(file);
        res.end();
        expect(await sent).toBe(file.bytes.length);
      },
    };
  },

  'whole file by fd, ended a turn later': (random) => {
    const file = someFile(random);
    return {
      body: file.bytes,
      async handle(exchange, res) {
        const sent = exchange.fromFd(file);
        setImmediate(() => res.end());
        expect(await sent).toBe(file.bytes.length);
      },
    };
  },

  'range by path or fd': (random) => {
    const file = someFile(random);
    const offset = below(random, file.bytes.length + 1);
    const length = below(random, file.bytes.length - offset + 1);
    const body = file.bytes.subarray(offset, offset + length);
    const byPath = random() < 0.5;
    return {
      status: 206,
      body,
      async handle(exchange, res) {
        res.statusCode = 206;
        const options = { offset, length };
        const sent = byPath ? exchange.fromPath(file, options) : exchange.fromFd(file, options);
        expect(await sent).toBe(length);
        res.end();
      },
    };
  },

  'plain body without a transfer': (random) => {
    const body = pattern(below(random, 100_000), 5);
    const status = pick(random, [200, 404, 500]);
    return {
      status,
      body,
      async handle(_exchange, res) {
        res.statusCode = status;
        res.end(body);
      },
    };
  },

  'plain chunked body without a transfer': (random) => {
    const body = pattern(1 + below(random, 100_000), 6);
    return {
      framing: 'chunked',
      body,
      async handle(_exchange, res) {
        res.write(body.subarray(0, 1));
        await turn();
        res.end(body.subarray(1));
      },
    };
  },

  HEAD: (random) => {
    const file = someFile(random);
    const byPath = random() < 0.5;
    return {
      method: 'HEAD',
      framing: 'none',
      headers: { 'content-length': String(file.bytes.length) },
      body: empty.bytes,
      async handle(exchange, res) {
        expect(await (byPath ? exchange.fromPath(file) : exchange.fromFd(file))).toBe(0);
        res.end();
      },
    };
  },

  '204 and 304': (random) => {
    const file = someFile(random);
    const status = pick(random, [204, 304]);
    return {
      status,
      framing: 'none',
      headers: { 'content-length': undefined },
      body: empty.bytes,
      async handle(exchange, res) {
        res.statusCode = status;
        const sent = exchange.fromFd(file);
        res.end();
        expect(await sent).toBe(0);
      },
    };
  },

  'chunked, writes before and after in the same turn': (random) => {
    const file = someFile(random);
    const before = pattern(1 + below(random, 3000), 7);
    const after = pattern(1 + below(random, 3000), 8);
    const corked = random() < 0.5;
    return {
      framing: 'chunked',
      body: Buffer.concat([before, file.bytes, after, Buffer.from('\u00e4nd', 'latin1')]),
      async handle(exchange, res) {
        res.writeHead(200);
        if (corked) res.cork();
        res.write(before);
        const sent = exchange.fromFd(file);
        res.write(after);
        res.write('\u00e4nd', 'latin1');
        if (corked) res.uncork();
        res.end();
        expect(await sent).toBe(file.bytes.length);
      },
    };
  },

  'chunked, awaited, with writes in other turns': (random) => {
    const file = someFile(random);
    const text = 'x'.repeat(1 + below(random, 2000));
    return {
      framing: 'chunked',
      body: Buffer.concat([Buffer.from(text), file.bytes, file.bytes, Buffer.from(text)]),
      async handle(exchange, res) {
        res.writeHead(200, { 'Transfer-Encoding': 'chunked' });
        res.write(text);
        await turn();
        await exchange.fromPath(file);
        const sent = exchange.fromFd(file);
        await turn();
        res.end(text);
        await sent;
      },
    };
  },

  'Content-Length over several transfers and writes': (random) => {
    const [first, second] = [smallFile(random), someFile(random)];
    const text = 'middle'.repeat(1 + below(random, 500));
    const corked = random() < 0.5;
    const early = random() < 0.5;
    const strict = random() < 0.5;
    const body = Buffer.concat([
      Buffer.from('<'),
      first.bytes,
      Buffer.from(text),
      second.bytes,
      Buffer.from('>'),
    ]);
    return {
      body,
      async handle(exchange, res) {
        res.strictContentLength = strict;
        if (early) res.setHeader('Content-Length', body.length);
        else res.writeHead(200, { 'Content-Length': body.length });
        if (corked) res.cork();
        res.write('<');
        const sent = [exchange.fromFd(first)];
        res.write(text);
        sent.push(exchange.fromFd(second));
        if (corked) process.nextTick(() => res.uncork());
        res.end('>');
        expect(await Promise.all(sent)).toEqual([first.bytes.length, second.bytes.length]);
      },
    };
  },

  'Content-Length, writes in earlier turns': (random) => {
    const [first, second] = [smallFile(random), someFile(random)];
    const turns = 1 + below(random, 3);
    const strict = random() < 0.5;
    const body = Buffer.concat([
      Buffer.from('<'),
      first.bytes,
      Buffer.from('|'),
      second.bytes,
      Buffer.from('>'),
    ]);
    return {
      body,
      async handle(exchange, res) {
        res.strictContentLength = strict;
        res.writeHead(200, { 'Content-Length': body.length });
        res.write('<');
        for (let i = 0; i < turns; i++) await turn();
        await exchange.fromPath(first);
        res.write('|');
        for (let i = 0; i < turns; i++) await turn();
        exchange.fromFd(second);
        for (let i = 0; i < turns; i++) await turn();
        res.end('>');
      },
    };
  },

  'headers and trailers of the transfer': (random) => {
    const file = someFile(random);
    const headers = [pattern(1 + below(random, 5000), 9), 'text \u20ac'];
    const trailers = pattern(1 + below(random, 5000), 10);
    const chunked = random() < 0.5;
    const body = Buffer.concat([headers[0], Buffer.from(headers[1]), file.bytes, trailers]);
    return {
      framing: chunked ? 'chunked' : 'length',
      body,
      async handle(exchange, res) {
        if (chunked) res.writeHead(200, { 'Transfer-Encoding': 'chunked' });
        const sent = exchange.fromFd(file, { headers, trailers });
        res.end();
        expect(await sent).toBe(body.length);
      },
    };
  },

  'copied by wish': (random) => {
    const file = someFile(random);
    return {
      body: file.bytes,
      async handle(exchange, res) {
        expect(await exchange.fromPath(file, { method: 'copy' })).toBe(file.bytes.length);
        res.end();
      },
    };
  },

  'copied through a replaced write': (random) => {
    const file = someFile(random);
    return {
      body: file.bytes,
      async handle(exchange, res) {
        const { write } = res;
        res.write = (...args) => write.apply(res, args);
        expect(await exchange.fromPath(file)).toBe(file.bytes.length);
        res.end();
      },
    };
  },
};

/** So many exchanges, every kind among them as often as any other, in an order of the seed's. */
function plan(count, seed) {
  const random = generator(seed);
  const names = Object.keys(kinds);
  const exchanges = [];
  for (let i = 0; i < count; i++) {
    const kind = names[i % names.length];
    exchanges.push({ kind, order: random(), ...kinds[kind](random) });
  }
  exchanges.sort((a, b) => a.order - b.order);
  return exchanges;
}

/** A server that answers request `/<n>` by the n-th exchange, and notes what goes wrong. */
async function serve(exchanges) {
  const troubles = [];
  const handlers = [];
  const server = await httpServer((req, res) => {
    const index = Number(req.url.slice(1).split('/').pop());
    const { kind, handle } = exchanges[index];
    const exchange = new Exchange(res);
    const note = (what) => troubles.push(`${index} (${kind}): ${what}`);
    handlers.push(
      handle(exchange, res).then(
        () => new Promise((resolve) => (res.writableFinished ? resolve() : res.once('finish', resolve))),
        (error) => {
          note(error.stack);
          res.destroy();
        },
      ),
    );
    res.once('close', () => exchange.late.forEach(note));
  });
  server.server.on('clientError', (error, socket) => {
    troubles.push(`clientError: ${error.stack}`);
    socket.destroy();
  });
  return { ...server, troubles, handlers };
}

const heads = (exchanges, from = 0) =>
  exchanges
    .map(({ method = 'GET' }, index) => `${method} /${from + index} HTTP/1.1\r\nHost: test\r\n\r\n`)
    .join('');

/** Reads all responses of these exchanges, and proves each of them. */
async function check(client, exchanges) {
  for (const [
    index,
    { kind, method, status = 200, framing = 'length', headers = {}, body },
  ] of exchanges.entries()) {
    const where = `response ${index} (${kind})`;
    const response = await client.response(method);
    if (response === null) throw new Error(`${where}: the connection ended`);
    const seen = {
      where,
      status: response.status,
      framing: response.framing,
      length: response.body.length,
      equal: Buffer.compare(response.body, body) === 0,
    };
    expect(seen).toEqual({ where, status, framing, length: body.length, equal: true });
    for (const name in headers) expect([name, response.headers[name]]).toEqual([name, headers[name]]);
  }
}

/** What is asked last, to see that the connection is still in step. */
const last = (exchanges) => {
  exchanges.push({
    kind: 'the last',
    body: Buffer.from('in step'),
    handle: async (_exchange, res) => void res.end('in step'),
  });
  return exchanges;
};

/**
 * The first of a connection is a transfer: where a response has written its head in an earlier turn, on a connection
 * that no transfer has used, nobody can count its body, and the connection is closed after it.
 */
const first = (exchanges) => {
  exchanges.unshift({ kind: 'the first', ...kinds['whole file by path, ended after await'](() => 0.2) });
  return exchanges;
};

describe.each([
  ['fast', 1],
  ['fast', 2],
  ['fast', 3],
  ['slow', 4],
  ['slow', 5],
])('300 pipelined requests, %s reader, mix %i', (pace, seed) => {
  test('every response is whole and in its place, and the connection in step to the end', async () => {
    const exchanges = last(first(plan(298, seed)));
    const { port, troubles, handlers } = await serve(exchanges);
    const client = connect(port, paces[pace](generator(seed + 100)));
    client.write(heads(exchanges));
    try {
      await check(client, exchanges);
    } catch (error) {
      if (troubles.length > 0) error.message += `\n\nat the server:\n${troubles.join('\n')}`;
      throw error;
    }
    await Promise.all(handlers);
    expect(troubles).toEqual([]);
    expect(handlers).toHaveLength(exchanges.length);
    client.socket.end();
    expect(await client.rest()).toHaveLength(0);
    expect(client.error).toBe(null);
  });
});

test('24 connections at a time, 34 pipelined requests each', async () => {
  const plans = Array.from({ length: 24 }, (_, index) => last(first(plan(32, 50 + index))));
  const all = plans.flat();
  const { port, troubles, handlers } = await serve(all);
  let from = 0;
  await Promise.all(
    plans.map(async (exchanges, index) => {
      const client = connect(port, paces[index % 3 === 0 ? 'slow' : 'fast'](generator(index)));
      client.write(heads(exchanges, from));
      from += exchanges.length;
      await check(client, exchanges);
      client.socket.end();
      expect(await client.rest()).toHaveLength(0);
    }),
  );
  await Promise.all(handlers);
  expect(troubles).toEqual([]);
});

test('requests in small pieces, each answered before the next is whole', async () => {
  const exchanges = last(first(plan(48, 90)));
  const { port, troubles, handlers } = await serve(exchanges);
  const client = connect(port);
  const random = generator(91);
  client.socket.setNoDelay(true);
  const text = heads(exchanges);
  const writing = (async () => {
    for (let at = 0; at < text.length; ) {
      const length = 1 + below(random, 90);
      client.write(text.slice(at, at + length));
      at += length;
      await turn();
    }
  })();
  await check(client, exchanges);
  await Promise.all([writing, ...handlers]);
  expect(troubles).toEqual([]);
  client.destroy();
});

test("'finish' waits for a client that does not read", async () => {
  const bytes = pattern(48 * 1024 * 1024, 3);
  const path = tmpFile(bytes);
  const events = [];
  const { port } = await httpServer((req, res) => {
    const name = req.url.slice(1);
    const fd = fs.openSync(path);
    transfer(res, fd).then(() => events.push(`${name} sent`));
    fs.closeSync(fd);
    res.end(() => events.push(`${name} end`));
    res.on('finish', () => events.push(`${name} finish`));
  });
  const client = connect(port);
  client.send('/a');
  client.send('/b');
  // As soon as a byte is here the transfer runs, and the kernel's buffers hold a few MiB at most.
  await client.fill();
  for (let i = 0; i < 50; i++) await turn();
  expect(events).toEqual([]);
  for (const name of ['a', 'b']) {
    const response = await client.response();
    expect({ name, whole: response.whole, equal: response.body.equals(bytes) }).toEqual({
      name,
      whole: true,
      equal: true,
    });
  }
  client.socket.end();
  await client.rest();
  expect(events.filter((event) => event.startsWith('a')).length).toBe(3);
  expect(events.indexOf('a finish')).toBeLessThan(events.indexOf('b sent'));
});
