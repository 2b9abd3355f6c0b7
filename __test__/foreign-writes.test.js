'use strict';

/**
 * Somebody else in the stream: a socket's `write`, `_write` or `_writev` replaced, before, between and under transfers,
 * by a function that does what it likes with a chunk. The peer gets what that function makes of the true bytes, or the
 * transfer is rejected and the connection dead: never a byte that stands for another, never a wait without end.
 */

const fs = require('node:fs');
const { transfer } = require('..');
const { pattern, readAll, runInChild, tmpFile, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { closeAll, openFile, pair, underWay } = require('./streams');

afterEach(closeAll);

/** Text without a letter that upper case would leave alone: what has been through a foreign hand shows it. */
const text = (length, seed) => Buffer.from(pattern(length, seed).toString('hex').slice(0, length));
/** More than a unix socket's buffers hold. */
const first = text(600_000, 1);
const path = tmpFile(first);
/** The shortest of them are too short to be known again. */
const SIZES = [1, 11, 12, 40_000];
const turn = () => new Promise(setImmediate);

const bytesOf = (chunk, encoding) => Buffer.from(chunk, typeof chunk === 'string' ? encoding : undefined);
const same = (bytes) => bytes;
const upper = (bytes) => Buffer.from(bytes.toString('latin1').toUpperCase(), 'latin1');
const flip = (bytes) => Buffer.from(bytes.map((byte) => byte ^ 255));

/**
 * What a foreign function does: `pass` gets the original, the chunk and the callback; `makes` is what becomes of bytes.
 */
const hands = {
  'gives it on as it is': { pass: (write, chunk, encoding, done) => write(chunk, encoding, done) },
  'copies it': { pass: (write, chunk, encoding, done) => write(bytesOf(chunk, encoding), 'buffer', done) },
  'makes it a latin1 text': {
    pass: (write, chunk, encoding, done) =>
      write(bytesOf(chunk, encoding).toString('latin1'), 'latin1', done),
  },
  'makes it a utf8 text': {
    pass: (write, chunk, encoding, done) => write(bytesOf(chunk, encoding).toString(), 'utf8', done),
  },
  'makes it a base64 text': {
    pass: (write, chunk, encoding, done) =>
      write(bytesOf(chunk, encoding).toString('base64'), 'base64', done),
  },
  'makes it upper case': {
    makes: upper,
    pass: (write, chunk, encoding, done) => write(upper(bytesOf(chunk, encoding)), 'buffer', done),
  },
  'flips its bits': {
    makes: flip,
    pass: (write, chunk, encoding, done) => write(flip(bytesOf(chunk, encoding)), 'buffer', done),
  },
  'splits it': {
    pass(write, chunk, encoding, done) {
      const bytes = bytesOf(chunk, encoding);
      const middle = bytes.length >> 1;
      write(bytes.subarray(0, middle), 'buffer', () => {});
      return write(bytes.subarray(middle), 'buffer', done);
    },
    // A socket's own `_write` takes one chunk at a time.
    levels: ['write'],
  },
  'gives it on a turn later': {
    pass(write, chunk, encoding, done) {
      setImmediate(() => write(bytesOf(chunk, encoding), 'buffer', done));
      return true;
    },
  },
  'calls back at once, and writes a copy later': {
    pass(write, chunk, encoding, done) {
      setImmediate(() => write(bytesOf(chunk, encoding), 'buffer', () => {}));
      process.nextTick(done);
      return true;
    },
    levels: ['write'],
    // A response closes its connection before that comes, whoever wrote it.
    isLate: true,
  },
  'swallows it': {
    makes: () => Buffer.alloc(0),
    pass(_write, _chunk, _encoding, done) {
      process.nextTick(done);
      return true;
    },
  },
};

/** Where it stands. */
const levels = {
  write(socket, pass) {
    const { write } = socket;
    socket.write = (chunk, encoding, done) => {
      if (typeof encoding === 'function') return socket.write(chunk, undefined, encoding);
      return pass((...given) => write.apply(socket, given), chunk, encoding, done ?? (() => {}));
    };
  },
  _write(socket, pass) {
    const { _write } = socket;
    socket._write = (...given) => pass((...args) => _write.apply(socket, args), ...given);
    // Node gives several chunks at once to this one, if there is one.
    socket._writev = null;
  },
  // All chunks of a turn as one.
  _writev(socket, pass) {
    const { _write } = socket;
    const write = (...given) => _write.apply(socket, given);
    socket._write = (...given) => pass(write, ...given);
    socket._writev = (chunks, done) => {
      const bytes = Buffer.concat(chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding)));
      pass(write, bytes, 'buffer', done);
    };
  },
};

const outcome = (promise) =>
  promise.then(
    (bytes) => ({ bytes }),
    ({ code, bytesSent }) => ({ code, bytesSent }),
  );

/** All of it, or the beginning of it and a dead connection with an error that says so. */
function expectTrueOrDead(received, expected, results, isDead) {
  const codes = new Set(results.map(({ code }) => code));
  codes.delete(undefined);
  const wanted = codes.size === 0 ? expected : expected.subarray(0, received.length);
  if (!received.equals(wanted)) {
    const at = received.findIndex((byte, place) => byte !== wanted[place]);
    throw new Error(
      `${received.length} bytes of ${expected.length}, wrong at ${at}: ${received.subarray(at, at + 40)}`,
    );
  }
  if (codes.size > 0) {
    expect([...codes]).toEqual(['ERR_STREAM_PREMATURE_CLOSE']);
    expect(isDead).toBe(true);
  }
}

/** When it comes, and which bytes go through its hands then. */
const times = {
  async 'before the first transfer'({ near, wrap, second, makes, read }) {
    read();
    wrap();
    near.write('a');
    const sent = [transfer(near, openFile(path)), transfer(near, openFile(second))].map(outcome);
    await Promise.all(sent);
    near.write('b');
    return { sent, expected: makes(Buffer.concat([Buffer.from('a'), first, second, Buffer.from('b')])) };
  },
  async 'between two transfers'({ near, wrap, second, makes, read }) {
    read();
    near.write('a');
    const sent = [outcome(transfer(near, openFile(path)))];
    await sent[0];
    wrap();
    sent.push(outcome(transfer(near, openFile(second))));
    await sent[1];
    near.write('b');
    return {
      sent,
      expected: Buffer.concat([Buffer.from('a'), first, makes(Buffer.concat([second, Buffer.from('b')]))]),
    };
  },
  async 'during a transfer'({ near, wrap, second, makes, read }) {
    const sent = [outcome(transfer(near, openFile(path)))];
    await underWay(near);
    wrap();
    sent.push(outcome(transfer(near, openFile(second))));
    read();
    await Promise.all(sent);
    near.write('b');
    return { sent, expected: Buffer.concat([first, makes(Buffer.concat([second, Buffer.from('b')]))]) };
  },
  async 'once a second transfer waits in the queue'({ near, wrap, second, read, level, makes }) {
    const sent = [transfer(near, openFile(path)), transfer(near, openFile(second))].map(outcome);
    await underWay(near);
    wrap();
    read();
    const [, { code }] = await Promise.all(sent);
    // What waits is past `write`; below that, only a hand that gives on the chunk itself leaves it what it is.
    if (level !== 'write' && makes !== same) expect(code).toBe('ERR_STREAM_PREMATURE_CLOSE');
    return { sent, expected: Buffer.concat([first, second]) };
  },
};

describe.each(Object.entries(times))('a socket: %s', (_time, play) => {
  test.each(Object.entries(hands))('somebody who %s', async (_name, { pass, makes = same, levels: at }) => {
    for (const level of at ?? Object.keys(levels)) {
      for (const size of SIZES) {
        const { near, far } = await pair({ unix: true });
        let received;
        const read = () => {
          received = readAll(far);
        };
        const wrap = () => levels[level](near, pass);
        const { sent, expected } = await play({ near, second: text(size, 2), level, makes, wrap, read });
        await turn();
        await turn();
        near.end();
        expectTrueOrDead(await received, expected, await Promise.all(sent), near.destroyed);
      }
    }
  });
});

describe.each([
  ['before', true],
  ['while the response waits for its turn', false],
])('a response: %s', (_when, before) => {
  const inTime = Object.entries(hands).filter(([, { isLate }]) => !isLate);
  test.each(inTime)('somebody who %s', async (_name, { pass, makes = same, levels: at }) => {
    for (const level of at ?? Object.keys(levels)) {
      for (const size of SIZES) {
        const body = text(size, 3);
        const file = tmpFile(body);
        let sent;
        let waiting;
        const { port } = await httpServer((req, res) => {
          if (req.url === '/first') {
            waiting = res;
            return;
          }
          res.sendDate = false;
          res.writeHead(200, { 'Content-Length': size });
          if (before) levels[level](res.req.socket, pass);
          const fd = fs.openSync(file);
          sent = outcome(transfer(res, fd));
          fs.closeSync(fd);
          // The copying way has the response to itself until it is done.
          sent.then(() => res.end());
          if (!before) levels[level](res.req.socket, pass);
        });
        const client = connect(port);
        client.send('/first');
        client.send('/second', 'GET', ['Connection: close']);
        await until(() => sent !== undefined, 'the second request');
        waiting.writeHead(200, { 'Content-Length': 5, Date: 'now' });
        waiting.end('first');
        const head = 'HTTP/1.1 200 OK\r\n';
        const one = Buffer.from(
          `${head}Content-Length: 5\r\nDate: now\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nfirst`,
        );
        const two = Buffer.concat([
          Buffer.from(`${head}Content-Length: ${size}\r\nConnection: close\r\n\r\n`),
          body,
        ]);
        expectTrueOrDead(await client.rest(), makes(Buffer.concat([one, two])), [await sent], true);
      }
    }
  });
});

describe('somebody who had replaced a method of a class before this package was loaded', () => {
  /** Serves one file on a socket of its own and one in a response; says what came. */
  const program = `
    const http = require('node:http');
    const net = require('node:net');
    const { Duplex } = require('node:stream');
    const copyOf = (chunk) => (typeof chunk === 'string' ? chunk : Buffer.from(chunk));
    function patch(of, name) {
      const original = of[name];
      of[name] = function (chunk, ...rest) {
        return original.call(this, copyOf(chunk), ...rest);
      };
    }
    PATCH
    const { transfer } = require('.');
    const { httpServer, readAll, socketPair } = require('./__test__/helpers');
    const file = ${JSON.stringify(path)};
    const content = require('node:fs').readFileSync(file);
    const outcome = (promise) => promise.then((bytes) => bytes, ({ code }) => code);
    (async () => {
      const { near, far } = await socketPair({ unix: true });
      const received = readAll(far);
      const sent = await outcome(transfer(near, file));
      near.end();
      const bytes = await received;
      let result;
      const { port, close } = await httpServer((_req, res) => {
        result = outcome(transfer(res, file));
        result.then(() => res.end());
      });
      const client = net.connect(port, '127.0.0.1');
      client.write('GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n');
      const all = await readAll(client);
      const body = all.subarray(all.indexOf('\\r\\n\\r\\n') + 4);
      console.log(JSON.stringify([
        { sent, whole: bytes.equals(content), none: bytes.length === 0 },
        { sent: await result, whole: body.equals(content), none: all.length === 0 || body.length === 0 },
      ]));
      await close();
    })();
  `;

  test.each([
    ['a socket’s write', "patch(net.Socket.prototype, 'write');"],
    ['every stream’s write', "patch(Duplex.prototype, 'write');"],
    ['a response’s write', "patch(http.ServerResponse.prototype, 'write');"],
    ['a message’s _send', "patch(http.OutgoingMessage.prototype, '_send');"],
    ['a message’s _writeRaw', "patch(http.OutgoingMessage.prototype, '_writeRaw');"],
  ])('%s: the true bytes, or none and a rejection', async (_method, patch) => {
    const { stdout, stderr, code } = await runInChild(program.replace('PATCH', patch));
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    for (const { sent, whole, none } of JSON.parse(stdout)) {
      if (sent === first.length) expect(whole).toBe(true);
      else expect({ sent, none }).toEqual({ sent: 'ERR_STREAM_PREMATURE_CLOSE', none: true });
    }
  });
});
