'use strict';

/**
 * A response with a transfer in it and the same response with its bytes given to `res.write`: the same head, the same
 * body, the same events and callbacks in the same order, and the same connection afterwards.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const { transfer } = require('..');
const { pattern, tmpFile, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { expectBytes } = require('./streams');

const turn = () => new Promise(setImmediate);

/** Small: out at once. Large: more than a socket takes. */
const bodies = [20_011, 6_000_000].map((size) => {
  const bytes = pattern(size, size);
  return { bytes, path: tmpFile(bytes) };
});

/** The two ways of giving a body's bytes to a response. */
const givers = {
  plain: (res, { bytes }) => new Promise((resolve) => res.write(bytes, resolve)),
  transfer(res, { path }) {
    const fd = fs.openSync(path);
    const sending = transfer(res, fd);
    fs.closeSync(fd);
    return sending;
  },
};

/** One exchange: what the client got, and what the server saw in which order. */
async function play(answer, give, body, { ServerResponse, request = [], queued = false } = {}) {
  const seen = [];
  const note = (what) => () => void seen.push(what);
  let waiting;
  let failure = null;
  const { port } = await httpServer((req, res) => {
    if (req.url === '/again') return res.end('again');
    if (req.url === '/first') {
      waiting = res;
      return;
    }
    res.sendDate = false;
    const { emit } = res;
    res.emit = (event, ...args) => {
      if (['prefinish', 'finish', 'close', 'drain', 'error', 'timeout'].includes(event)) seen.push(event);
      return emit.call(res, event, ...args);
    };
    Promise.resolve(
      answer(
        res,
        () => give(res, body),
        note,
        req,
        (out) => give(out, body),
      ),
    ).catch((error) => {
      failure = error;
      res.destroy();
    });
  }, ServerResponse && { ServerResponse });
  const client = connect(port);
  if (queued) client.send('/first');
  client.send('/', 'GET', request);
  if (queued) {
    await until(() => waiting !== undefined, 'the first request');
    await turn();
    waiting.end('first');
    await client.response();
  }
  const responses = [];
  do responses.push(await client.response());
  while (responses.at(-1)?.status < 200);
  client.send('/again');
  const again = await client.response();
  if (failure) throw failure;
  await until(() => seen.includes('close'), "'close'");
  await turn();
  const heads = responses.map((response) => response?.head);
  const { body: bytes, whole, framing, trailers } = responses.at(-1) ?? {};
  return { seen, heads, bytes, rest: { whole, framing, trailers, again: again?.body.toString() } };
}

/** What a handler may do with a response around a body. `give` begins it, and its promise is its end. */
const answers = {
  async 'ended after it'(res, give, note) {
    res.setHeader('Content-Length', res.expected);
    await give();
    res.end(note('end called back'));
  },
  'ended at once'(res, give, note) {
    res.setHeader('Content-Length', res.expected);
    give();
    res.end(note('end called back'));
  },
  'ended at once, of no known length'(res, give, note) {
    res.flushHeaders();
    give();
    res.end(note('end called back'));
  },
  'ended at once with a last chunk'(res, give, note) {
    res.setHeader('Content-Length', res.expected + 4);
    give();
    res.end('last', note('end called back'));
  },
  'between two writes'(res, give, note) {
    res.setHeader('Content-Length', res.expected + 11);
    res.write('before', note('before'));
    give();
    res.write('after', note('after'));
    res.end(note('end called back'));
  },
  async 'between two writes of other turns'(res, give, note) {
    res.setHeader('Content-Length', res.expected + 11);
    res.write('before', note('before'));
    await turn();
    await give();
    res.write('after', note('after'));
    await turn();
    res.end(note('end called back'));
  },
  twice(res, give, note) {
    res.setHeader('Content-Length', 2 * res.expected + 1);
    give();
    res.write('-', note('between'));
    give();
    res.end(note('end called back'));
  },
  corked(res, give, note) {
    res.setHeader('Content-Length', res.expected + 11);
    res.cork();
    res.write('before', note('before'));
    give();
    res.write('after', note('after'));
    res.uncork();
    res.end(note('end called back'));
  },
  'corked three times over, with two bodies'(res, give, note) {
    res.setHeader('Content-Length', 2 * res.expected + 3);
    res.cork();
    res.write('a', note('a'));
    res.cork();
    give();
    res.cork();
    res.write('b', note('b'));
    res.uncork();
    give();
    res.uncork();
    res.write('c', note('c'));
    res.uncork();
    res.end(note('end called back'));
  },
  'corked until a later turn'(res, give, note) {
    res.setHeader('Content-Length', res.expected + 1);
    res.cork();
    give();
    res.write('a', note('a'));
    setImmediate(() => {
      res.uncork();
      res.end(note('end called back'));
    });
  },
  'corked, and uncorked by its end'(res, give, note) {
    res.setHeader('Content-Length', res.expected + 1);
    res.cork();
    give();
    res.end('a', note('end called back'));
  },
  'corked and of no known length'(res, give, note) {
    res.flushHeaders();
    res.cork();
    res.write('a', note('a'));
    give();
    res.write('b', note('b'));
    give();
    res.uncork();
    res.end(note('end called back'));
  },
  'with a corked socket'(res, give, note) {
    const { socket } = res.req;
    res.setHeader('Content-Length', res.expected + 1);
    socket.cork();
    socket.cork();
    give();
    res.write('a', note('a'));
    socket.uncork();
    setImmediate(() => {
      socket.uncork();
      res.end(note('end called back'));
    });
  },
  async 'with trailers'(res, give, note) {
    res.writeHead(200, { Trailer: 'X-Sum', 'Transfer-Encoding': 'chunked' });
    await give();
    res.addTrailers({ 'X-Sum': '42' });
    res.end(note('end called back'));
  },
  'with trailers, ended at once'(res, give, note) {
    res.writeHead(200, { Trailer: 'X-Sum', 'Transfer-Encoding': 'chunked' });
    give();
    res.addTrailers({ 'X-Sum': '42' });
    res.end('last', note('end called back'));
  },
  async 'after its head has been flushed'(res, give, note) {
    res.setHeader('Content-Length', res.expected);
    res.flushHeaders();
    await turn();
    await give();
    res.end(note('end called back'));
  },
  async 'after 100, 102 and 103'(res, give, note) {
    res.writeContinue(note('100'));
    res.writeProcessing(note('102'));
    res.writeEarlyHints({ link: '</a.css>; rel=preload' }, note('103'));
    await turn();
    res.setHeader('Content-Length', res.expected);
    give();
    res.end(note('end called back'));
  },
  async 'with strictContentLength'(res, give, note) {
    res.strictContentLength = true;
    res.setHeader('Content-Length', res.expected);
    await give();
    res.end(note('end called back'));
  },
  'with Connection: close'(res, give, note) {
    res.setHeader('Content-Length', res.expected);
    res.setHeader('Connection', 'close');
    give();
    res.end(note('end called back'));
  },
  'with its end and its events heard'(res, give, note) {
    res.setHeader('Content-Length', res.expected);
    res.on('finish', note('finish heard'));
    res.on('close', note('close heard'));
    res.req.socket.once('drain', note('the socket drains'));
    give();
    res.end(note('end called back'));
  },
};

/**
 * With its head out in an earlier turn, before there was a transfer on its connection, nobody can tell how long a body
 * is by now: such a connection serves no other response.
 */
const CLOSED = ['between two writes of other turns', 'after its head has been flushed'];
/** Behind another response Node itself puts the head before them. */
const NOT_QUEUED = ['after 100, 102 and 103'];

class Own extends http.ServerResponse {
  end(...args) {
    this.ended = true;
    return super.end(...args);
  }
}

const settings = {
  'a response': {},
  'a response that waits behind another': { queued: true },
  'a subclass of ServerResponse': { ServerResponse: Own },
};

describe.each(Object.entries(settings))('%s', (_setting, options) => {
  const cases = Object.entries(answers).filter(([name]) => !(options.queued && NOT_QUEUED.includes(name)));
  test.each(cases)('%s', async (name, answer) => {
    for (const body of bodies) {
      const handle = (res, ...rest) => {
        res.expected = body.bytes.length;
        return answer(res, ...rest);
      };
      const plain = await play(handle, givers.plain, body, options);
      const ours = await play(handle, givers.transfer, body, options);
      expect(plain.seen).toContain('finish');
      expect(ours.heads).toEqual(plain.heads);
      expectBytes(ours.bytes, plain.bytes);
      if (CLOSED.includes(name) && !options.queued) ours.rest.again ??= 'again';
      expect(ours.rest).toEqual(plain.rest);
      expect({ name, seen: ours.seen }).toEqual({ name, seen: plain.seen });
    }
  });
});

test('a response that replaces end sees its own end called, once', async () => {
  let calls = 0;
  const seen = await play(
    async (res, give) => {
      const { end } = res;
      res.end = (...args) => {
        calls++;
        return end.apply(res, args);
      };
      await give();
      res.end();
    },
    givers.transfer,
    bodies[0],
  );
  expect(calls).toBe(1);
  expectBytes(seen.bytes, bodies[0].bytes);
  expect(seen.rest.again).toBe('again');
});

test('a client that leaves: the same events as a plain response has', async () => {
  const [, large] = bodies;
  const left = async (give) => {
    const seen = [];
    let given;
    const { port } = await httpServer((_req, res) => {
      for (const event of ['prefinish', 'finish', 'close', 'error']) res.on(event, () => seen.push(event));
      given = give(res, large).catch(() => {});
      res.end();
    });
    const client = connect(port);
    client.send('/');
    await client.fill();
    client.destroy();
    await until(() => seen.includes('close'), "'close'");
    await given;
    // Whether 'finish' comes before 'close' lies with what Node hears of first, the reset or a write's error; what is
    // still in flight then ends with its handle, some turns later.
    for (let i = 0; i < 10; i++) await turn();
    return seen.sort();
  };
  expect(await left(givers.transfer)).toEqual(await left(givers.plain));
});

test("'drain' comes where a plain response has it, and not before its bytes are out", async () => {
  const [, large] = bodies;
  const drained = async (give) => {
    const { port } = await httpServer(async (_req, res) => {
      res.setHeader('Content-Length', large.bytes.length + 1);
      const giving = give(res, large);
      const full = res.writableNeedDrain;
      await once(res, 'drain');
      const queued = res.writableLength;
      await giving;
      res.end('!');
      results.push({ full, queued });
    });
    const results = [];
    const client = connect(port);
    client.send('/');
    await client.response();
    return results[0];
  };
  const plain = await drained(givers.plain);
  expect(plain).toEqual({ full: true, queued: 0 });
  expect(await drained(givers.transfer)).toEqual(plain);
});

test('an object made of a response, which Node itself never sends: its transfer ends with the connection', async () => {
  let sent;
  const { port } = await httpServer((_req, res) => {
    sent = givers.transfer(Object.create(res), bodies[0]).catch((error) => error);
  });
  const client = connect(port);
  client.send('/');
  await until(() => sent !== undefined, 'the request');
  client.destroy();
  expect(await sent).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
});
