'use strict';

const net = require('node:net');
const { once } = require('node:events');
const { transfer } = require('..');
const { listen, pattern, readAll, tmpFile, tmpPath } = require('./helpers');
const { closeAll, crowdOf, expectBytes, keep, openFile, pair } = require('./streams');
const { way } = require('./ways');

afterEach(closeAll);

const first = pattern(250_000, 1);
const second = pattern(90_000, 2);
const large = pattern(150_000, 3);

/** A client socket that still connects, and what its server receives. */
async function connecting(unix) {
  const server = keep(net.createServer());
  const address = await listen(server, unix ? { path: tmpPath('socket') } : undefined);
  const received = once(server, 'connection').then(([socket]) => readAll(keep(socket)));
  const near = keep(net.connect(unix ? { path: address } : { host: '127.0.0.1', port: address }));
  expect(near.connecting).toBe(true);
  return { near, received };
}

async function connected(unix) {
  const { near, far } = await pair({ unix });
  return { near, received: readAll(far) };
}

/** write + transfer + write + transfer + end, in these variants. */
const around = { 'small writes': ['one', 'two', 'three'], 'large writes': [large, large, large] };
const corks = {
  'not corked': { before() {}, between() {}, after() {} },
  'corked around all': { before: (s) => s.cork(), between() {}, after: (s) => s.uncork() },
  'corked around all, for a turn': {
    before: (s) => s.cork(),
    between() {},
    after: (s) => process.nextTick(() => s.uncork()),
  },
  'corked around the first': { before: (s) => s.cork(), between: (s) => s.uncork(), after() {} },
  'corked around the second': { before() {}, between: (s) => s.cork(), after: (s) => s.uncork() },
};

for (const open of [connected, connecting]) {
  for (const unix of [false, true]) {
    for (const [size, [a, b, c]] of Object.entries(around)) {
      for (const [corking, { before, between, after }] of Object.entries(corks)) {
        const where = `${open.name} over ${unix ? 'a unix socket' : 'TCP'}`;
        test(`write + transfer + write + transfer + write + end: ${where}, ${size}, ${corking}`, async () => {
          const { near, received } = await open(unix);
          before(near);
          near.write(a);
          const one = transfer(near, openFile(first), { headers: 'h1', trailers: 't1' });
          between(near);
          near.write(b);
          const two = transfer(near, openFile(second), { offset: 10, length: 70_000 });
          near.write(c);
          after(near);
          near.end('end');
          expectBytes(
            await received,
            Buffer.concat([
              ...[a, 'h1', first, 't1', b, second.subarray(10, 70_010), c, 'end'].map((part) =>
                Buffer.from(part),
              ),
            ]),
          );
          expect(await Promise.all([one, two])).toEqual([250_004, 70_000]);
        });
      }
    }
  }
}

test('strings around a transfer keep their encodings', async () => {
  const { near, received } = await connected(false);
  const texts = [
    ['Grüße', 'utf8'],
    ['ÿþé', 'latin1'],
    ['00ff80', 'hex'],
    ['/+8AgA==', 'base64'],
    ['_-8AgA', 'base64url'],
    ['ab🚀', 'utf16le'],
    ['abc', 'ascii'],
  ];
  const expected = [];
  near.cork();
  for (const [text, encoding] of texts) {
    near.write(text, encoding);
    transfer(near, openFile(second), { length: 10 });
    near.write(text, encoding);
    expected.push(Buffer.from(text, encoding), second.subarray(0, 10), Buffer.from(text, encoding));
  }
  near.uncork();
  for (const [text, encoding] of texts) {
    near.write(text, encoding);
    transfer(near, openFile(first));
    near.write(text, encoding);
    expected.push(Buffer.from(text, encoding), first, Buffer.from(text, encoding));
  }
  near.end();
  expectBytes(await received, Buffer.concat(expected));
});

test('strings around a transfer have the default encoding of the stream', async () => {
  const { near, received } = await connected(false);
  near.setDefaultEncoding('hex');
  near.write('0001');
  transfer(near, openFile(second));
  near.end('0203');
  expectBytes(await received, Buffer.concat([Buffer.from([0, 1]), second, Buffer.from([2, 3])]));
});

test('a Buffer that is overwritten once its write has called back was sent as it was', async () => {
  const { near, far } = await pair({ unix: true });
  const chunk = Buffer.alloc(1000, 'a');
  transfer(near, openFile(first));
  const written = new Promise((resolve) => near.write(chunk, resolve)).then(() => chunk.fill('b'));
  transfer(near, openFile(second));
  near.end();
  const received = await readAll(far);
  await written;
  expectBytes(received, Buffer.concat([first, Buffer.alloc(1000, 'a'), second]));
});

describe('transfers that are not awaited go out in the order of their calls', () => {
  const path = tmpFile(first);
  const other = tmpFile(second);
  const cases = {
    'a path, then an fd': () => [path, openFile(second)],
    'a path, then a path': () => [path, other],
    'an fd, then a path': () => [openFile(first), other],
  };
  for (const [name, files] of Object.entries(cases)) {
    test.each([1, 2, 3])(`${name}, time %d`, async () => {
      const { near, received } = await connected(true);
      const results = await Promise.all(files().map((file) => transfer(near, file)));
      near.end();
      expect(results).toEqual([first.length, second.length]);
      expectBytes(await received, Buffer.concat([first, second]));
    });
  }

  test('a path that does not exist lets the next one go', async () => {
    const { near, received } = await connected(true);
    const results = await Promise.allSettled([
      transfer(near, '/does/not/exist'),
      transfer(near, openFile(second)),
      transfer(near, '/dev/zero'),
      transfer(near, path),
    ]);
    near.end();
    expect(results.map(({ value, reason }) => value ?? reason.code)).toEqual([
      'ENOENT',
      second.length,
      'EINVAL',
      first.length,
    ]);
    expectBytes(await received, Buffer.concat([second, first]));
  });

  test('to two streams do not wait for each other', async () => {
    const stuck = await pair({ unix: true });
    const free = await pair({ unix: true });
    const big = pattern(2 << 20, 4);
    transfer(stuck.near, tmpFile(big)).catch(() => {});
    const received = readAll(free.far);
    expect(await transfer(free.near, path)).toBe(first.length);
    free.near.end();
    expectBytes(await received, first);
  });
});

test('what is written right after a path that is not awaited precedes it, known to us or not', async () => {
  const path = tmpFile(second);
  const { near, received } = await connected(true);
  for (const text of ['a', 'b', 'c']) {
    const sending = transfer(near, path);
    near.write(text);
    await sending;
  }
  near.end();
  const expected = ['a', second, 'b', second, 'c', second].map((part) => Buffer.from(part));
  expectBytes(await received, Buffer.concat(expected));
});

test('what is written after a path was awaited follows it', async () => {
  const { near, received } = await connected(true);
  near.write('a');
  await transfer(near, tmpFile(first));
  near.end('b');
  expectBytes(await received, Buffer.concat([Buffer.from('a'), first, Buffer.from('b')]));
});

describe('50 transfers at once on one socket', () => {
  for (const [name, source] of [
    ['fds', (bytes) => openFile(bytes)],
    ['paths', (bytes) => tmpFile(bytes)],
  ]) {
    for (const open of [connected, connecting]) {
      test(`from ${name}, ${open.name}, arrive in order and warn of nothing`, async () => {
        const { near, received } = await open(true);
        const crowd = crowdOf(near);
        const contents = Array.from({ length: 50 }, (_, i) => pattern(10_000 + i * 1000, i));
        const sending = contents.map((bytes) => transfer(near, source(bytes)));
        const results = await Promise.all(sending);
        near.end();
        expect(results).toEqual(contents.map(({ length }) => length));
        expectBytes(await received, Buffer.concat(contents));
        expect(crowd()).toBe(0);
      });
    }
  }
});

/** Numbers from 0 on, below `limit`, the same ones for the same seed. */
function random(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/**
 * Does random things to a socket. Gives back what must arrive, and what each transfer must result in.
 */
async function play(near, below) {
  const expected = [];
  const transfers = [];
  let corked = 0;
  const sizes = [0, 1, 100, 4095, 16_384, 65_535, 65_536, 65_537, 200_000];
  const anySize = () => sizes[below(sizes.length)];
  const source = pattern(300_000, below(1000));
  const path = tmpFile(source);
  const send = (file) => {
    const offset = anySize();
    const length = [undefined, anySize()][below(2)];
    const headers = [undefined, 'headers', [large.subarray(0, anySize())]][below(3)];
    const trailers = [undefined, 'trailers', [large.subarray(0, anySize())]][below(3)];
    const method = ['auto', 'auto', way === 'disabled' ? 'auto' : 'sendfile', 'copy'][below(4)];
    const file_ = source.subarray(offset, length === undefined ? undefined : offset + length);
    const parts = [...[headers].flat(), file_, ...[trailers].flat()]
      .filter((part) => part !== undefined)
      .map((part) => Buffer.from(part));
    expected.push(...parts);
    const sending = transfer(near, file, { offset, length, headers, trailers, method });
    transfers.push(sending.then((bytes) => [bytes, Buffer.concat(parts).length]));
    return sending;
  };
  const actions = [
    () => {
      const chunk = source.subarray(below(1000), anySize());
      expected.push(Buffer.from(chunk));
      near.write(chunk);
    },
    () => {
      const [text, encoding] = [
        ['tëxt', 'utf8'],
        ['tëxt', 'latin1'],
        ['0aff', 'hex'],
        ['tëxt', 'utf16le'],
      ][below(4)];
      expected.push(Buffer.from(text, encoding));
      near.write(text, encoding);
    },
    () => void send(openFile(path)),
    () => void send(openFile(path)),
    () => void send(openFile(path)),
    async () => {
      // Nothing leaves a corked stream: a path would be waited for in vain.
      while (corked > 0) {
        near.uncork();
        corked--;
      }
      await send(path);
    },
    () => {
      near.cork();
      corked++;
    },
    () => {
      if (corked > 0) near.uncork();
      corked = Math.max(0, corked - 1);
    },
    () => new Promise(setImmediate),
    () => Promise.resolve(),
  ];
  for (let i = 0; i < 40; i++) await actions[below(actions.length)]();
  if (below(2)) expected.push(Buffer.from('the end'));
  near.end(...(expected.at(-1)?.toString() === 'the end' ? ['the end'] : []));
  return { expected: Buffer.concat(expected), transfers };
}

describe('random writes, transfers and corks arrive as they were written', () => {
  test.each(Array.from({ length: 40 }, (_, i) => i + 1))('seed %d', async (seed) => {
    const below = random(seed);
    const open = [connected, connecting][below(2)];
    const { near, received } = await open(below(2) === 1);
    const { expected, transfers } = await play(near, below);
    expectBytes(await received, expected);
    for (const [bytes, length] of await Promise.all(transfers)) expect(bytes).toBe(length);
    expect(near.bytesWritten).toBe(expected.length);
  });
});
