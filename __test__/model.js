'use strict';

/**
 * Random sequences of what one may do to a stream, and the model of what must come of them: for each write and each
 * transfer its bytes, in the order of the calls. What a transfer's promise said decides how much of it there must be.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const fc = require('fast-check');
const { transfer } = require('..');
const { pattern, tmpFile, until } = require('./helpers');
const { way } = require('./ways');
const { connect, httpServer } = require('./http-client');
const { expectBytes, pair } = require('./streams');

const FILE_BYTES = 300_000;
const source = pattern(FILE_BYTES, 99);
const extra = pattern(100_000, 98);
const path = tmpFile(source);
const turn = () => new Promise(setImmediate);

/** Small ones, the borders of what travels together, and more than a unix socket holds. */
const size = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 300 }), weight: 3 },
  { arbitrary: fc.constantFrom(0, 1, 4096, 16_384, 65_535, 65_536, 65_537, 131_072), weight: 2 },
  { arbitrary: fc.integer({ min: 0, max: FILE_BYTES }), weight: 3 },
);
const frame = fc.oneof(
  { arbitrary: fc.constant(0), weight: 3 },
  { arbitrary: fc.integer({ min: 1, max: 300 }), weight: 2 },
  { arbitrary: fc.constantFrom(65_536, 65_537, 100_000), weight: 1 },
);
const encodings = ['buffer', 'utf8', 'latin1', 'hex', 'base64', 'utf16le'];

const write = fc.record({ do: fc.constant('write'), size, as: fc.constantFrom(...encodings) });
const send = fc.record({
  do: fc.constant('transfer'),
  by: fc.constantFrom('fd', 'fd', 'fd', 'path'),
  offset: size,
  length: fc.option(size, { nil: undefined }),
  headers: frame,
  trailers: frame,
  // 'sendfile' is an error of its own where nobody may ask the kernel.
  method: fc.constantFrom('auto', 'auto', way === 'disabled' ? 'auto' : 'sendfile', 'copy'),
  /** When it is aborted, if nobody does that by name. */
  abort: fc.constantFrom('no', 'no', 'no', 'no', 'no', 'no', 'before', 'at once'),
});
const bare = (...names) => fc.constantFrom(...names.map((name) => ({ do: name })));
const abort = fc.record({ do: fc.constant('abort'), which: fc.nat(10) });

/** Aborts end most of what follows, so they come in every third sequence. */
function commands(maxLength) {
  const calm = fc.oneof(
    { arbitrary: write, weight: 4 },
    { arbitrary: send.map((one) => ({ ...one, abort: 'no' })), weight: 5 },
    { arbitrary: bare('cork', 'uncork', 'pause', 'resume', 'turn', 'settle'), weight: 5 },
  );
  const wild = fc.oneof({ arbitrary: calm, weight: 6 }, { arbitrary: send, weight: 2 }, abort);
  const list = (arbitrary) => fc.array(arbitrary, { maxLength, size: 'max' });
  return fc.oneof({ arbitrary: list(calm), weight: 2 }, { arbitrary: list(wild), weight: 1 });
}

const socketCase = fc.record({ unix: fc.boolean(), script: commands(25) });
/** A response is not promised what the file does not hold: that is refused, see response.test.js. */
const cut = (command) =>
  command.length > FILE_BYTES - command.offset
    ? { ...command, length: FILE_BYTES - command.offset }
    : command;
const responseCase = fc.record({
  framing: fc.constantFrom('chunked', 'length'),
  script: commands(12).map((script) => script.map(cut)),
});
const connectionCase = fc.array(responseCase, { minLength: 1, maxLength: 6 });

/** The bytes of a write, and the chunk that stands for them. */
function chunkOf({ size, as }, seed) {
  const bytes = source.subarray(seed % 1000, (seed % 1000) + size);
  if (as === 'buffer') return { chunk: Buffer.from(bytes), bytes };
  if (as === 'utf8' || as === 'utf16le') {
    const text = 'Größe €'.repeat(Math.ceil(size / 16));
    return { chunk: text, bytes: Buffer.from(text, as) };
  }
  return { chunk: bytes.toString(as), bytes };
}

/** The bytes of a transfer. */
function bytesOf({ offset, length, headers, trailers }) {
  const range = source.subarray(offset, length === undefined ? undefined : offset + length);
  return Buffer.concat([extra.subarray(0, headers), range, extra.subarray(0, trailers)]);
}

/** One stream that is played on, and all that is known of it. */
class Play {
  /**
   * @param {any} out
   * @param {{ pause: () => void, resume: () => void }} reader
   */
  constructor(out, reader) {
    this.out = out;
    this.reader = reader;
    this.corked = 0;
    /** Writes and transfers, in the order in which their bytes are due. */
    this.parts = [];
    this.transfers = [];
  }

  async run(script) {
    for (const command of script) {
      const wait = this[command.do](command);
      if (wait) await wait;
    }
    this.free();
    this.out.end();
    return Promise.all(this.transfers.map(({ over }) => over));
  }

  write(command) {
    const { chunk, bytes } = chunkOf(command, this.parts.length);
    const part = { bytes, calls: 0 };
    this.parts.push(part);
    this.out.write(chunk, command.as === 'buffer' ? undefined : command.as, () => part.calls++);
  }

  transfer(command) {
    const { offset, length, method, by } = command;
    // Nothing leaves a corked stream, or one that nobody reads: a path is waited for.
    if (by === 'path') this.free();
    const controller = new AbortController();
    const part = { bytes: bytesOf(command), command, controller, aborted: false, end: null };
    const options = {
      offset,
      length,
      headers: extra.subarray(0, command.headers),
      trailers: [extra.subarray(0, command.trailers)],
      method,
      signal: controller.signal,
    };
    if (command.abort === 'before') this.end(part);
    part.dead = this.out.destroyed;
    const fd = by === 'fd' ? fs.openSync(path) : undefined;
    const promise = transfer(this.out, fd ?? path, options);
    if (fd !== undefined) fs.closeSync(fd);
    part.over = promise.then(
      (bytes) => ({ bytes }),
      ({ code, bytesSent, message }) => ({ code, bytes: bytesSent, message }),
    );
    part.over.then((end) => {
      part.end = end;
    });
    this.parts.push(part);
    this.transfers.push(part);
    if (command.abort === 'at once') this.end(part);
    return by === 'path' && part.over;
  }

  end(part) {
    if (part.end === null) part.aborted = true;
    part.controller.abort();
  }

  abort({ which }) {
    const pending = this.transfers.filter(({ end }) => end === null);
    if (pending.length > 0) this.end(pending[which % pending.length]);
  }

  cork() {
    this.corked++;
    this.out.cork();
  }

  uncork() {
    if (this.corked === 0) return;
    this.corked--;
    this.out.uncork();
  }

  pause() {
    this.reader.pause();
  }

  resume() {
    this.reader.resume();
  }

  turn() {
    return turn();
  }

  free() {
    while (this.corked > 0) this.uncork();
    this.reader.resume();
  }

  settle() {
    this.free();
    return this.transfers.at(-1)?.over;
  }

  /**
   * What must have arrived, by what the promises said. `whole`: that and no more; otherwise at least that, and what
   * follows it is `rest`.
   */
  expected(isHttp) {
    const parts = [];
    for (const part of this.parts) {
      const { end, bytes } = part;
      if (end === undefined) {
        parts.push(bytes); // a write
        continue;
      }
      if (end.code === undefined) {
        same(end.bytes, bytes.length, 'what a transfer resolves with');
        parts.push(bytes);
        continue;
      }
      const unsent = end.bytes === 0;
      const allowed = ['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE'];
      if (!allowed.includes(end.code)) throw new Error(`${end.code}: ${end.message}`);
      if (end.code === 'ABORT_ERR' && !part.aborted) throw new Error('ABORT_ERR, and nobody has aborted');
      if (end.bytes > bytes.length) throw new Error(`${end.bytes} sent of ${bytes.length}`);
      // Nothing of it has been sent, and the stream goes on. A response is destroyed once it has been queued.
      if (end.code === 'ABORT_ERR' && unsent && (!isHttp || isEarly(part.command))) continue;
      parts.push(bytes.subarray(0, end.bytes));
      return { bytes: Buffer.concat(parts), ended: part };
    }
    return { bytes: Buffer.concat(parts), ended: null };
  }

  /** Has one of its transfers been aborted after it had been queued? That ends a response. */
  hasEnded() {
    return this.transfers.some(({ end, command }) => end.code === 'ABORT_ERR' && !isEarly(command));
  }

  /** Whoever comes after the one that ended the stream was not sent, and says so. */
  checkAfter(ended) {
    const later = this.transfers.slice(this.transfers.indexOf(ended) + 1);
    for (const { end, bytes } of later) {
      if (end.code === undefined && bytes.length > 0)
        throw new Error('resolved on a stream that had been destroyed');
      same(end.bytes, 0, 'bytes of a transfer after the end');
    }
  }
}

/** Aborted before it was queued, which a path never is in the turn of its call. */
function isEarly({ abort, by }) {
  return abort === 'before' || (abort === 'at once' && by === 'path');
}

function same(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`);
}

/** Is this the beginning of that? */
function expectPrefix(actual, expected) {
  if (actual.length > expected.length) throw new Error(`${actual.length} bytes, ${expected.length} at most`);
  expectBytes(actual, expected.subarray(0, actual.length));
}

/** Plays on a bare socket. */
async function playSocket({ unix, script }) {
  const { near, far } = await pair({ unix });
  // By 'data': an iterator does not mind being paused.
  const chunks = [];
  far.on('data', (chunk) => chunks.push(chunk));
  const end = Promise.race([once(far, 'end'), once(far, 'close')]);
  const play = new Play(near, far);
  await play.run(script);
  const { bytes, ended } = play.expected(false);
  await end;
  const arrived = Buffer.concat(chunks);
  if (ended === null) {
    if (near.destroyed && !near.writableFinished) throw new Error('destroyed, and nobody has ended it');
    expectBytes(arrived, bytes);
    same(near.bytesWritten, bytes.length, 'bytesWritten');
  } else {
    same(near.destroyed, true, 'destroyed');
    if (ended.end.code !== 'ABORT_ERR') throw new Error(`ended by ${ended.end.code}`);
    // All that was counted is in the kernel, and the kernel delivers it.
    expectBytes(arrived, bytes);
    play.checkAfter(ended);
  }
  await until(
    () => play.parts.every(({ calls }) => calls === undefined || calls === 1),
    'every write to call back',
  );
}

/** Of a connection that has had a transfer it is known which body has how many bytes. */
const first = {
  framing: 'length',
  script: [
    {
      do: 'transfer',
      by: 'fd',
      offset: 0,
      headers: 0,
      trailers: 0,
      method: 'auto',
      abort: 'no',
      length: 1000,
    },
  ],
};

/** Plays on the responses of one connection, whose requests are all there before the first is answered. */
async function playConnection(others) {
  const cases = [first, ...others];
  let paused = false;
  const reader = {
    pause: () => {
      paused = true;
    },
    resume: () => {
      paused = false;
    },
  };
  const plays = [];
  const ends = [];
  const { server, port } = await httpServer((req, res) => {
    const { framing, script } = cases[Number(req.url.slice(1))];
    const play = new Play(res, reader);
    plays.push(play);
    if (framing === 'chunked') res.setHeader('Transfer-Encoding', 'chunked');
    else res.setHeader('Content-Length', lengthOf(script));
    ends.push(play.run(script));
  });
  const client = connect(port, async (socket) => {
    while (paused) await turn();
    return socket.read();
  });
  for (const index of cases.keys()) client.send(`/${index}`);
  const responses = [];
  let broken = null;
  for (const _ of cases) {
    const response = await client.response().catch((error) => {
      broken = error;
      return null;
    });
    if (response !== null) responses.push(response);
    if (!response?.whole) break;
  }
  // Those that the client's end has found running settle too.
  client.destroy();
  reader.resume();
  await Promise.all(ends);

  let over = null;
  for (const [index, play] of plays.entries()) {
    const { bytes, ended } = play.expected(true);
    const response = responses[index];
    if (over === null && ended === null) {
      if (!response)
        throw new Error(`no response ${index}: ${broken?.message ?? 'the connection has ended'}`);
      expectBytes(response.body, bytes);
      same(response.whole, true, 'whole');
      same(response.framing, cases[index].framing, 'framing');
      continue;
    }
    if (over === null) {
      over = play;
      // One that stands behind it may be what has ended the connection.
      if (!plays.some((other) => other.hasEnded())) throw new Error(`ended by ${ended.end.code}`);
      if (response) {
        same(response.whole, false, 'whole');
        expectPrefix(response.body, bytes);
        if (ended.end.bytes > 0) same(response.body.length, bytes.length, 'bytes of the body');
      } else same(ended.end.bytes, 0, 'bytes without a response');
      play.checkAfter(ended);
    } else if (response) throw new Error('a response after the connection was ended');
  }
  server.close();
  server.closeAllConnections();
  if (server.listening) await once(server, 'close');
}

/** The body's length, as far as it is meant to be sent. */
function lengthOf(script) {
  let total = 0;
  let place = 0;
  for (const command of script) {
    if (command.do === 'write') total += chunkOf(command, place).bytes.length;
    else if (command.do === 'transfer' && !isEarly(command)) total += bytesOf(command).length;
    if (command.do === 'write' || command.do === 'transfer') place++;
  }
  return total;
}

/**
 * Plays so many cases. A failure tells the shortest one that fails too, and the seed; `RS_SENDFILE_SEED` plays a seed
 * again.
 */
async function check(arbitrary, play, numRuns) {
  const seed = Number(process.env.RS_SENDFILE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  await fc.assert(fc.asyncProperty(arbitrary, play), {
    numRuns,
    seed,
    timeout: 30_000,
  });
}

module.exports = { check, socketCase, playSocket, connectionCase, playConnection };
