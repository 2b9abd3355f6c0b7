'use strict';

/**
 * One call of sendfile(2): what pysendfile's own tests check, what may stand at either end, and what happens when
 * nobody reads, the peer leaves, or the caller closes the descriptors. Every fact holds for both forms.
 */

const crypto = require('node:crypto');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const { Worker } = require('node:worker_threads');
const rsSendfile = require('..');
const {
  bothForms,
  failure,
  fdOf,
  listen,
  openFds,
  pattern,
  positionOf,
  rawPair,
  root,
  runInChild,
  takeAll,
  takeBytes,
  takeNow,
  tmpFile,
  tmpPath,
  until,
} = require('./helpers');
const { atEnd, closeAll, fifo, fileOf, occupyPool, open, pair, POOL } = require('./raw');

const { sendfile, sendfileSync, waitWritable } = rsSendfile;
const KiB = 1024;
const GiB = 1024 ** 3;
/** The most that Linux moves by one call. */
const MOST = 0x7fff_f000;

const onLinux = process.platform === 'linux' ? describe : describe.skip;
const hasIPv6 = Object.values(os.networkInterfaces())
  .flat()
  .some(({ address }) => address === '::1');

afterEach(closeAll);

/**
 * The fd of a file of `size` bytes that occupies none, but for `places`: a Map of offset to bytes. In /dev/shm holes
 * cost no memory while they are read, elsewhere 2 GiB of it.
 */
function sparse(size, places = new Map()) {
  const path = fs.existsSync('/dev/shm') ? `/dev/shm/rs-sendfile-${process.pid}` : tmpPath('sparse');
  const fd = open(path, 'wx+');
  fs.unlinkSync(path);
  fs.ftruncateSync(fd, size);
  for (const [offset, bytes] of places) fs.writeSync(fd, bytes, 0, bytes.length, offset);
  return fd;
}

/** Calls in steps of `step` from `offset` until the file's end, emptying the peer when it is full: all that arrived. */
async function sendInSteps(call, { out, peer, near }, input, offset, step) {
  const chunks = [];
  const counts = [];
  let place = offset;
  for (;;) {
    try {
      const count = await call(out, input, place, step);
      counts.push(count);
      if (count === 0) break;
      place += count;
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      chunks.push(takeNow(peer));
    }
  }
  near.end();
  chunks.push(await takeAll(peer));
  return { received: Buffer.concat(chunks), counts, end: place };
}

/** Waits until the fds are those of `before` again. */
function sameFds(before) {
  return until(() => {
    const now = openFds();
    return now.size === before.size && [...now].every(([fd, what]) => before.get(fd) === what);
  }, 'the descriptors of before');
}

describe.each(bothForms(rsSendfile))('%s, as pysendfile tests it', (_name, call) => {
  test('a whole file in steps of 4096 bytes', async () => {
    const content = pattern(10_000_000);
    const { received, counts, end } = await sendInSteps(call, await pair(), fileOf(content), 0, 4096);
    expect(end).toBe(content.length);
    expect(received.equals(content)).toBe(true);
    expect(Math.max(...counts)).toBe(4096);
  });

  test('a file from its middle on', async () => {
    const content = pattern(300_001);
    const { received } = await sendInSteps(call, await pair(), fileOf(content), 150_000, 4096);
    expect(received.equals(content.subarray(150_000))).toBe(true);
  });

  test('a header of 512 bytes, then the rest', async () => {
    const content = pattern(100_000);
    const header = pattern(512, 7);
    const sockets = await pair();
    const input = fileOf(content);
    expect(await call(sockets.out, input, 0, 4096, header)).toBe(512 + 4096);
    const { received } = await sendInSteps(call, sockets, input, 4096, 4096);
    expect(received.equals(Buffer.concat([header, content]))).toBe(true);
  });

  test('a trailer after a file of 5 bytes', async () => {
    const { out, near, peer } = await pair();
    expect(await call(out, fileOf('abcde'), 0, null, null, '12345')).toBe(10);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('abcde12345');
  });

  test('nbytes bounds the file when trailers follow', async () => {
    const { out, near, peer } = await pair();
    expect(await call(out, fileOf('abcdef'), 0, 5, [], ['1234', '56789'])).toBe(14);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('abcde123456789');
  });

  test('swapped fds are EBADF', async () => {
    const input = open(tmpFile(100));
    const output = open(tmpPath(), 'w');
    expect((await failure(() => call(input, output, 0, 10))).code).toBe('EBADF');
  });

  test.each([[null], [undefined]])('nbytes %p is until the end of the file', async (nbytes) => {
    const content = pattern(70_000);
    const { out, near, peer } = await pair();
    expect(await call(out, fileOf(content), 1000, nbytes)).toBe(69_000);
    near.end();
    expect((await takeAll(peer)).equals(content.subarray(1000))).toBe(true);
  });

  test('nbytes 0 is no byte of the file', async () => {
    const { out, near, peer } = await pair();
    expect(await call(out, fileOf(1000), 0, 0)).toBe(0);
    expect(await call(out, fileOf(1000), 0, 0n, 'head', 'tail')).toBe(8);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('headtail');
  });

  test.each([[1000], [1001], [1_000_000n], [2 ** 40]])(
    'offset %p at or past the end of 1000 bytes is 0',
    async (offset) => {
      const { out, near, peer } = await pair();
      expect(await call(out, fileOf(1000), offset, 4096)).toBe(0);
      near.end();
      expect((await takeAll(peer)).length).toBe(0);
    },
  );

  test.each([[-1], [-1n], [-(2 ** 53)], [-(2n ** 80n)]])('offset %p is EINVAL', async (offset) => {
    const { out } = await pair();
    expect((await failure(() => call(out, fileOf(1000), offset, 10))).code).toBe('EINVAL');
  });

  test('a file of 7 bytes, asked for 4096', async () => {
    const { out, near, peer } = await pair();
    expect(await call(out, fileOf('7 bytes'), 0, 4096)).toBe(7);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('7 bytes');
  });

  test('a small file from offset 4096 is 0', async () => {
    const { out } = await pair();
    expect(await call(out, fileOf('small'), 4096, 4096)).toBe(0);
  });

  test('an empty file is 0', async () => {
    const { out, near, peer } = await pair();
    expect(await call(out, fileOf(''), 0, 4096)).toBe(0);
    near.end();
    expect((await takeAll(peer)).length).toBe(0);
  });

  onLinux('position', () => {
    test('a null offset moves it by the file bytes alone', async () => {
      const content = pattern(1000);
      const { out, near, peer } = await pair();
      const input = fileOf(content);
      expect(await call(out, input, null, 300)).toBe(300);
      expect(positionOf(input)).toBe(300);
      expect(await call(out, input, null, 200, 'head', ['tai', 'l'])).toBe(208);
      expect(positionOf(input)).toBe(500);
      expect(await call(out, input, undefined, null, 'head', 'tail')).toBe(508);
      expect(positionOf(input)).toBe(1000);
      expect(await call(out, input, null, null)).toBe(0);
      expect(positionOf(input)).toBe(1000);
      near.end();
      const all = ['', 'head', 'tail', 'head', 'tail'].map((text) => Buffer.from(text));
      const parts = [content.subarray(0, 300), all[1], content.subarray(300, 500), all[2]];
      const expected = Buffer.concat([...parts, all[3], content.subarray(500), all[4]]);
      expect((await takeAll(peer)).equals(expected)).toBe(true);
    });

    test('an explicit offset leaves it', async () => {
      const { out } = await pair();
      const input = fileOf(1000);
      fs.readSync(input, Buffer.alloc(123));
      expect(await call(out, input, 500, 100, 'head', 'tail')).toBe(108);
      expect(await call(out, input, 0n, null)).toBe(1000);
      expect(positionOf(input)).toBe(123);
    });

    test('a partial send moves it by what went out, and EAGAIN does not', async () => {
      const content = pattern(2_000_000);
      const { out, peer } = await pair();
      const input = fileOf(content);
      const first = await call(out, input, null, null);
      expect(first).toBeLessThan(content.length);
      const second = await failure(() => fill(call, out, input, null));
      expect(second.code).toBe('EAGAIN');
      const place = positionOf(input);
      expect((await takeBytes(peer, place)).equals(content.subarray(0, place))).toBe(true);
      expect(takeNow(peer)).toBe(null);
    });
  });

  onLinux('large files', () => {
    test('2.5 GB in one request after another', async () => {
      const size = 2_500_000_000;
      const input = sparse(size);
      const out = open('/dev/null', 'w');
      const counts = [];
      for (let place = 0; place < size; place += counts.at(-1))
        counts.push(await call(out, input, place, null));
      expect(counts).toEqual([MOST, size - MOST]);
    });

    test('a request of more than 2 GiB moves at most 2147479552 bytes', async () => {
      const input = sparse(MOST + 100);
      const out = open('/dev/null', 'w');
      expect(await call(out, input, 1, 2n ** 63n - 1n)).toBe(MOST);
    });

    test('trailers wait until all of the file is out', async () => {
      const size = MOST + 10;
      const input = sparse(size);
      const out = open('/dev/null', 'w');
      expect(await call(out, input, 0, null, 'head', 'tail')).toBe(4 + MOST);
      expect(await call(out, input, MOST, null, null, 'tail')).toBe(14);
    });

    test.each([
      ['2 GiB', 2 * GiB],
      ['4 GiB', 4 * GiB],
      ['8 TiB', 8192 * GiB],
    ])('bytes around %s are those of the file', async (_where, middle) => {
      const bytes = pattern(32 * KiB, 5);
      const from = middle - 16 * KiB;
      const input = sparse(middle + 20 * KiB, new Map([[from, bytes]]));
      const { out, near, peer } = await pair();
      expect(await call(out, input, from, 10 * KiB)).toBe(10 * KiB);
      expect(await call(out, input, BigInt(from + 10 * KiB), 12n * 1024n)).toBe(12 * KiB);
      expect(await call(out, input, from + 22 * KiB, null)).toBe(14 * KiB);
      near.end();
      const received = await takeAll(peer);
      expect(received.equals(Buffer.concat([bytes, Buffer.alloc(4 * KiB)]))).toBe(true);
    });

    test.each([
      ['the last offset there can be', 2n ** 63n - 1n, null, 'EINVAL'],
      ['a range that ends past 2^63 - 1', 2n ** 63n - 20n, 4096, 'EINVAL'],
      ['an offset past what the file system can hold', 2n ** 62n, 10, 'EOVERFLOW'],
    ])('%s is refused by the kernel', async (_what, offset, nbytes, code) => {
      const { out } = await pair();
      expect((await failure(() => call(out, fileOf(10), offset, nbytes))).code).toBe(code);
    });
  });
});

/** Sends from the file's own position until an error, which is thrown. */
async function fill(call, out, input, offset = 0) {
  let place = offset;
  for (;;) {
    const count = await call(out, input, place, null);
    if (count === 0) throw new Error('the file is too small to fill the buffer');
    if (place !== null) place += count;
  }
}

describe.each(bothForms(rsSendfile))('%s, what it sends to', (_name, call) => {
  const content = pattern(100_000, 3);

  async function delivers({ out, near, peer }) {
    let place = 0;
    const chunks = [];
    while (place < content.length) {
      place += await call(out, fileOf(content), place, null);
      chunks.push(takeNow(peer) ?? Buffer.alloc(0));
    }
    near.end();
    chunks.push(await takeAll(peer));
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  }

  test('TCP over IPv4', async () => delivers(await pair({})));

  (hasIPv6 ? test : test.skip)('TCP over IPv6', async () => {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    const port = await listen(server, { host: '::1', port: 0 });
    const far = net.connect(port, '::1');
    far.pause();
    const [[near]] = await Promise.all([once(server, 'connection'), once(far, 'connect')]);
    server.close();
    atEnd(() => {
      near.destroy();
      far.destroy();
    });
    await delivers({ near, out: fdOf(near), peer: fdOf(far) });
  });

  test('a unix socket', async () => delivers(await pair({ unix: true })));

  onLinux('on Linux', () => {
    test('a pipe', async () => {
      const pipe = fifo();
      const first = await call(pipe, fileOf(content), 0, null, 'head');
      expect(first).toBeGreaterThan(4);
      expect((await failure(() => fill(call, pipe, fileOf(content), first - 4))).code).toBe('EAGAIN');
      const head = await takeBytes(pipe, first);
      expect(head.equals(Buffer.concat([Buffer.from('head'), content.subarray(0, first - 4)]))).toBe(true);
    });

    test('a regular file, whose position moves', async () => {
      const path = tmpPath();
      const out = open(path, 'w');
      expect(await call(out, fileOf(content), 10, 1000)).toBe(1000);
      expect(positionOf(out)).toBe(1000);
      expect(await call(out, fileOf(content), 5000, 500, 'head', 'tail')).toBe(508);
      expect(positionOf(out)).toBe(1508);
      const expected = [
        content.subarray(10, 1010),
        Buffer.from('head'),
        content.subarray(5000, 5500),
        Buffer.from('tail'),
      ];
      expect(fs.readFileSync(path).equals(Buffer.concat(expected))).toBe(true);
    });

    test('/dev/null', async () => {
      expect(await call(open('/dev/null', 'w'), fileOf(content), 0, null, 'head', 'tail')).toBe(100_008);
    });

    test('a connected UDP socket', async () => {
      const receiver = dgram.createSocket('udp4');
      const sender = dgram.createSocket('udp4');
      atEnd(() => {
        receiver.close();
        sender.close();
      });
      receiver.bind(0, '127.0.0.1');
      await once(receiver, 'listening');
      const sockets = () => [...openFds()].filter(([, what]) => what.startsWith('socket:'));
      const before = new Set(sockets().map(([, what]) => what));
      sender.connect(receiver.address().port, '127.0.0.1');
      await once(sender, 'connect');
      const [[out]] = sockets().filter(([, what]) => !before.has(what));
      const message = once(receiver, 'message');
      expect(await call(out, fileOf(content), 0, 100)).toBe(100);
      expect((await message)[0].equals(content.subarray(0, 100))).toBe(true);
    });

    test('a socket that is not connected is EPIPE', async () => {
      const server = net.createServer();
      await listen(server);
      atEnd(() => server.close());
      expect((await failure(() => call(fdOf(server), fileOf(content), 0, 10))).code).toBe('EPIPE');
      expect((await failure(() => call(fdOf(server), fileOf(content), 0, 10, 'head'))).code).toBe('EPIPE');
    });

    test('a file opened for appending is EINVAL', async () => {
      const path = tmpFile('before');
      const out = open(path, 'a');
      expect((await failure(() => call(out, fileOf(content), 0, 10))).code).toBe('EINVAL');
      expect(fs.readFileSync(path, 'utf8')).toBe('before');
    });
  });

  test('what is open only for reading is EBADF', async () => {
    expect((await failure(() => call(fileOf(10), fileOf(content), 0, 10))).code).toBe('EBADF');
    expect((await failure(() => call(fileOf(10), fileOf(content), 0, 10, 'head'))).code).toBe('EBADF');
    expect((await failure(() => call(fileOf(10), fileOf(content), 0, 0))).code).toBe('EBADF');
  });

  test('a closed fd is EBADF', async () => {
    const closed = fs.openSync(tmpPath(), 'w');
    const input = fileOf(content);
    fs.closeSync(closed);
    expect((await failure(() => call(closed, input, 0, 10))).code).toBe('EBADF');
    expect((await failure(() => call(closed, input, 0, 0))).code).toBe('EBADF');
  });

  test('fd -1 is EBADF', async () => {
    expect((await failure(() => call(-1, fileOf(content), 0, 10))).code).toBe('EBADF');
  });

  test('a directory is EBADF', async () => {
    expect((await failure(() => call(open(root), fileOf(content), 0, 10))).code).toBe('EBADF');
  });
});

describe.each(bothForms(rsSendfile))('%s, what it sends from', (_name, call) => {
  test('a file open only for writing is EBADF', async () => {
    const { out, peer } = await pair();
    const input = open(tmpPath(), 'w');
    for (const nbytes of [10, null, 0]) {
      expect((await failure(() => call(out, input, 0, nbytes))).code).toBe('EBADF');
    }
    expect(takeNow(peer)).toBe(null);
  });

  test('a closed fd is EBADF, with headers too', async () => {
    const { out, peer } = await pair();
    const closed = fs.openSync(tmpFile(10), 'r');
    fs.closeSync(closed);
    expect((await failure(() => call(out, closed, 0, 10))).code).toBe('EBADF');
    expect((await failure(() => call(out, closed, 0, 10, 'head', 'tail'))).code).toBe('EBADF');
    expect((await failure(() => call(out, -1, 0, 10, 'head', 'tail'))).code).toBe('EBADF');
    expect(takeNow(peer)).toBe(null);
  });

  test('a directory is EINVAL', async () => {
    const { out, peer } = await pair();
    expect((await failure(() => call(out, open(root), 0, 10))).code).toBe('EINVAL');
    expect(takeNow(peer)).toBe(null);
  });

  test('a FileHandle', async () => {
    const { out, near, peer } = await pair();
    const handle = await fs.promises.open(tmpFile('from a handle'));
    try {
      expect(await call(out, handle, 5, null)).toBe(8);
    } finally {
      await handle.close();
    }
    near.end();
    expect((await takeAll(peer)).toString()).toBe('a handle');
    expect((await failure(() => call(out, handle, 0, null))).code).toBe('EBADF');
  });

  test('a file that was deleted after it was opened', async () => {
    const path = tmpFile('still here');
    const input = open(path);
    fs.unlinkSync(path);
    const { out, near, peer } = await pair();
    expect(await call(out, input, 0, null)).toBe(10);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('still here');
  });

  test('a file that grew, and one that was cut, since the call before', async () => {
    const path = tmpFile('one');
    const input = open(path);
    const { out, near, peer } = await pair();
    expect(await call(out, input, 0, null)).toBe(3);
    fs.appendFileSync(path, ' two');
    expect(await call(out, input, 3, null, null, '.')).toBe(5);
    // Read before the cut: bytes that are on their way are still those of the file.
    expect((await takeBytes(peer, 8)).toString()).toBe('one two.');
    fs.truncateSync(path, 2);
    expect(await call(out, input, 0, 100, '<', '>')).toBe(4);
    expect(await call(out, input, 3, 100)).toBe(0);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('<on>');
  });

  onLinux('on Linux', () => {
    test('a pipe is ESPIPE with an offset and EINVAL without one', async () => {
      const { out } = await pair();
      const pipe = fifo();
      fs.writeSync(pipe, 'in the pipe');
      expect((await failure(() => call(out, pipe, 0, 10))).code).toBe('ESPIPE');
      expect((await failure(() => call(out, pipe, null, 10))).code).toBe('EINVAL');
      expect((await takeBytes(pipe, 11)).toString()).toBe('in the pipe');
    });

    test('a socket is ESPIPE with an offset and EINVAL without one', async () => {
      const { out } = await pair();
      const { near, peer } = await pair();
      near.write('in the socket');
      expect((await failure(() => call(out, peer, 0, 10))).code).toBe('ESPIPE');
      expect((await failure(() => call(out, peer, null, 10))).code).toBe('EINVAL');
      expect((await takeBytes(peer, 13)).toString()).toBe('in the socket');
    });

    test('/proc/version, whose size says 0', async () => {
      const version = fs.readFileSync('/proc/version');
      for (const [headers, trailers] of [[], ['head', undefined]]) {
        const { out, near, peer } = await pair();
        const head = Buffer.from(headers ?? '');
        expect(await call(out, open('/proc/version'), 0, null, headers, trailers)).toBe(
          head.length + version.length,
        );
        near.end();
        expect((await takeAll(peer)).equals(Buffer.concat([head, version]))).toBe(true);
      }
    });

    test('/proc/self/status is EINVAL', async () => {
      const { out } = await pair();
      expect((await failure(() => call(out, open('/proc/self/status'), 0, null))).code).toBe('EINVAL');
    });
  });
});

describe.each(bothForms(rsSendfile))('%s, with nobody reading', (_name, call) => {
  test.each([
    ['TCP', {}, 32_000_000],
    ['a unix socket', { unix: true }, 3_000_000],
  ])('%s: a part, then EAGAIN, then the rest as it is read', async (_what, options, size) => {
    const content = pattern(size, 9);
    const input = fileOf(content);
    const { out, near } = await pair(options);
    const first = await call(out, input, 0, null);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(size);
    // TCP moves bytes from one buffer to the other by itself: full is full after a few rounds.
    const refused = await failure(() => fill(call, out, input, first));
    expect(refused).toMatchObject({ code: 'EAGAIN', errno: -os.constants.errno.EAGAIN, syscall: 'sendfile' });

    // From the start once more: how much of it went out is known only from the counts.
    const other = await pair(options);
    const hash = crypto.createHash('sha256');
    let sent = 0;
    let refusals = 0;
    let seed = size;
    let arrived = 0;
    while (sent < size) {
      try {
        sent += await call(other.out, input, sent, null);
      } catch (error) {
        expect(error.code).toBe('EAGAIN');
        refusals += 1;
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        const chunk = takeNow(other.peer, 1 + (seed % 500_000));
        arrived += chunk === null ? 0 : chunk.length;
        if (chunk !== null) hash.update(chunk);
        // TCP tells the sender of the room by packets, which need their turn.
        else await new Promise(setImmediate);
      }
    }
    other.near.end();
    const rest = await takeAll(other.peer);
    hash.update(rest);
    expect(refusals).toBeGreaterThan(0);
    expect(arrived + rest.length).toBe(size);
    expect(hash.digest('hex')).toBe(crypto.createHash('sha256').update(content).digest('hex'));
    near.destroy();
  });

  test('two calls on one fd do not disturb each other', async () => {
    const content = pattern(200_000, 4);
    const input = fileOf(content);
    const pairs = [await pair(), await pair()];
    const counts = await Promise.all([
      call(pairs[0].out, input, 0, 100_000),
      call(pairs[1].out, input, 100_000, 100_000),
    ]);
    expect(counts).toEqual([100_000, 100_000]);
    const [a, b] = await Promise.all(pairs.map(({ peer }) => takeBytes(peer, 100_000)));
    expect(Buffer.concat([a, b]).equals(content)).toBe(true);
  });
});

describe.each(bothForms(rsSendfile))('%s, when the peer leaves', (_name, call) => {
  test.each([
    ['TCP, reset', {}, (far) => far.resetAndDestroy()],
    ['a unix socket, closed', { unix: true }, (far) => far.destroy()],
  ])('%s: the count first, then EPIPE or ECONNRESET, and EPIPE ever after', async (_what, options, leave) => {
    const content = pattern(16_000_000);
    const input = fileOf(content);
    const { out, far } = await pair(options);
    const first = await call(out, input, 0, null);
    expect(first).toBeGreaterThan(0);
    expect((await failure(() => fill(call, out, input))).code).toBe('EAGAIN');
    leave(far);
    await once(far, 'close');
    let error;
    await until(async () => {
      error = await failure(() => fill(call, out, input));
      return error.code !== 'EAGAIN';
    }, 'the reset to arrive');
    expect(['EPIPE', 'ECONNRESET']).toContain(error.code);
    expect((await failure(() => call(out, input, 0, 10))).code).toBe('EPIPE');
    expect((await failure(() => call(out, input, 0, 10, 'head'))).code).toBe('EPIPE');
  });
});

onLinux('SIGPIPE', () => {
  const program = (send) => `
    const { once } = require('node:events');
    const fs = require('node:fs');
    const { rawPair, tmpFile } = require('./__test__/helpers.js');
    const { sendfile, sendfileSync } = require('.');
    const noop = () => {};
    process.on('SIGPIPE', noop);
    process.off('SIGPIPE', noop); // from now on its disposition is the default one: it ends the process
    (async () => {
      const { out, far } = await rawPair({ unix: true });
      const input = fs.openSync(tmpFile(1000), 'r');
      far.destroy();
      await once(far, 'close');
      try {
        ${send}
        console.log('sent');
      } catch (error) {
        console.log(error.code);
      }
      process.exit(0);
    })();`;

  test('ends this process by a plain write to such a socket', async () => {
    const { signal } = await runInChild(program(`fs.writeSync(out, 'to nobody');`));
    expect(signal).toBe('SIGPIPE');
  });

  test.each([
    ['sendfileSync', 'sendfileSync(out, input, 0, 10);'],
    ['sendfileSync with headers', `sendfileSync(out, input, 0, 10, 'head');`],
    ['sendfile', 'await sendfile(out, input, 0, 10);'],
    ['sendfile with headers', `await sendfile(out, input, 0, 10, 'head');`],
  ])('does not end it by %s', async (_what, send) => {
    const { code, signal, stdout, stderr } = await runInChild(program(send));
    expect({ code, signal, stdout, stderr }).toEqual({
      code: 0,
      signal: null,
      stdout: 'EPIPE\n',
      stderr: '',
    });
  });

  test('does not end it by a call that was waiting when it became deadly', async () => {
    const text = `
      const fs = require('node:fs');
      const { openFifo, tmpFile, until } = require('./__test__/helpers.js');
      const { sendfile } = require('.');
      (async () => {
        const { path, fd } = openFifo();
        const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
        const writer = fs.openSync(path, fs.constants.O_WRONLY);
        fs.closeSync(fd);
        const input = fs.openSync(tmpFile(1 << 20));
        // More than a pipe takes: it waits for the reader.
        const sending = sendfile(writer, input, 0, 1 << 20).catch(({ code }) => code);
        await until(() => {
          try {
            return fs.readSync(reader, Buffer.alloc(1)) === 1;
          } catch {
            return false;
          }
        }, 'its first byte');
        const noop = () => {};
        process.on('SIGPIPE', noop);
        process.off('SIGPIPE', noop);
        fs.closeSync(reader);
        console.log(typeof (await sending));
      })();`;
    const { code, signal, stderr, stdout } = await runInChild(text);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(stdout).toMatch(/^(number|string)\n$/);
  });

  test('does not end it when headers go to a pipe without a reader', async () => {
    const text = `
      const { path, fd } = require('./__test__/helpers.js').openFifo();
      const pipe = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
      fs.closeSync(fd);
      sendfileSync(pipe, input, 0, 10, 'head');`;
    expect(await runInChild(program(text))).toMatchObject({ code: 0, stdout: 'EPIPE\n' });
  });
});

onLinux('sendfile, when its fds are closed at once', () => {
  test('and other files are opened in their place, no byte goes astray', async () => {
    const content = pattern(50_000, 2);
    const path = tmpFile(content);
    const decoy = pattern(60_000, 3);
    const rounds = 20;
    const sockets = [];
    for (let round = 0; round < rounds; round++) sockets.push(await pair());
    const release = await occupyPool();
    const decoys = [];
    let retaken = 0;
    const counts = [];
    for (const { near, out } of sockets) {
      const input = fs.openSync(path);
      counts.push(sendfile(out, input, 0, null));
      fs.closeSync(input);
      near.destroy();
      // The kernel hands out the lowest number that is free: both are taken again.
      const taken = new Set();
      while (!(taken.has(out) && taken.has(input)) && taken.size < 10) taken.add(open(tmpFile(decoy), 'r+'));
      if (taken.has(out) && taken.has(input)) retaken += 1;
      decoys.push(...taken);
    }
    // A thread of the pool that was late may have got one of them.
    expect(retaken).toBeGreaterThanOrEqual(rounds - POOL);
    await release();
    expect(await Promise.all(counts)).toEqual(new Array(rounds).fill(content.length));
    for (const { peer } of sockets) expect((await takeAll(peer)).equals(content)).toBe(true);
    for (const fd of decoys) {
      expect(positionOf(fd)).toBe(0);
      expect(fs.readFileSync(fd).equals(decoy)).toBe(true);
    }
  });

  test('and other sockets are opened in their place, each gets its own bytes and no other', async () => {
    const files = [0, 1, 2, 3].map((n) => {
      const content = Buffer.alloc(20_000, n + 1);
      return { content, path: tmpFile(content) };
    });
    const before = openFds();
    const numbers = new Set();
    let calls = 0;
    const lane = async (first) => {
      for (let round = 0; round < 100; round++) {
        const { content, path } = files[(first + round) % files.length];
        const { near, far, out, peer } = await rawPair({ unix: true });
        numbers.add(out);
        const input = fs.openSync(path);
        const sent = sendfile(out, input, 0, null);
        fs.closeSync(input);
        near.destroy();
        calls += 1;
        const count = await sent;
        const received = await takeAll(peer);
        far.destroy();
        expect(count).toBe(content.length);
        expect(received.equals(content)).toBe(true);
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(lane));
    expect(calls).toBe(600);
    expect(numbers.size).toBeLessThan(100);
    await sameFds(before);
  });

  test('and buffers are changed at once, the bytes of the call are sent', async () => {
    const { out, near, peer } = await pair();
    const release = await occupyPool();
    const header = Buffer.from('head');
    const trailer = Buffer.from('tail');
    const list = [header];
    const sent = sendfile(out, fileOf('file'), 0, null, list, trailer);
    header.fill('x');
    trailer.fill('x');
    list.length = 0;
    await release();
    expect(await sent).toBe(12);
    near.end();
    expect((await takeAll(peer)).toString()).toBe('headfiletail');
  });
});

onLinux('descriptors', () => {
  test('none is left over after calls that succeed, fail and are refused', async () => {
    const { out, peer } = await pair();
    const input = fileOf(10_000);
    const bad = open(tmpPath(), 'w');
    const before = openFds();
    for (let round = 0; round < 50; round++) {
      const calls = [
        sendfile(out, input, 0, 1000, 'head', 'tail'),
        sendfile(out, bad, 0, 1000).catch(() => {}),
        sendfile(out, -1, 0, 1000).catch(() => {}),
        sendfile(out, input, -1, 1000).catch(() => {}),
        sendfile(out, input, 1.5, 1000).catch(() => {}),
        sendfile(out, input, 0, 1000, null, null, 1).catch(() => {}),
      ];
      await Promise.all(calls);
      takeNow(peer);
    }
    await sameFds(before);
  });
});

onLinux('threads and processes', () => {
  test('worker_threads: both forms, in four workers at once', async () => {
    const content = pattern(200_000, 6);
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      const fs = require('node:fs');
      const { sendfile, sendfileSync } = require(workerData.root);
      (async () => {
        const input = fs.openSync(workerData.path, 'r');
        const out = fs.openSync(workerData.out, 'w');
        let sum = 0;
        for (let place = 0; place < 200_000; place += 2000) {
          sum += sendfileSync(out, input, place, 1000);
          sum += await sendfile(out, input, place + 1000, 1000);
        }
        fs.closeSync(input);
        fs.closeSync(out);
        parentPort.postMessage(sum);
      })();`;
    const before = openFds();
    const path = tmpFile(content);
    const outs = [0, 1, 2, 3].map(() => tmpPath());
    const run = async (out) => {
      const worker = new Worker(program, { eval: true, workerData: { root, path, out } });
      const ended = once(worker, 'exit');
      const [sum] = await once(worker, 'message');
      expect(await ended).toEqual([0]);
      return sum;
    };
    expect(await Promise.all(outs.map(run))).toEqual([200_000, 200_000, 200_000, 200_000]);
    for (const out of outs) expect(fs.readFileSync(out).equals(content)).toBe(true);
    await sameFds(before);
  });

  test('a worker that is terminated with calls and waits pending leaves no descriptor behind', async () => {
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      const fs = require('node:fs');
      const { sendfile, waitWritable } = require(workerData.root);
      const input = fs.openSync(workerData.path, 'r');
      for (let i = 0; i < 200; i++) sendfile(workerData.out, input, 0, 100).catch(() => {});
      for (let i = 0; i < 20; i++) waitWritable(workerData.out).catch(() => {});
      fs.closeSync(input);
      parentPort.postMessage('pending');`;
    const { out, near, peer } = await pair();
    const input = fileOf(1_000_000);
    expect((await failure(() => fill(async (...args) => sendfileSync(...args), out, input))).code).toBe(
      'EAGAIN',
    );
    const before = openFds();
    const path = tmpFile(1000);
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(program, { eval: true, workerData: { root, path, out } });
      await once(worker, 'message');
      await worker.terminate();
    }
    await sameFds(before);
    takeNow(peer);
    await waitWritable(out, { timeout: 10_000 });
    near.destroy();
  });

  test.each([
    ['by itself', ''],
    ['by process.exit', 'process.exit(0);'],
  ])('a process with pending calls ends %s', async (_how, end) => {
    const program = `
      const fs = require('node:fs');
      const { rawPair, tmpFile } = require('./__test__/helpers.js');
      const { sendfile } = require('.');
      (async () => {
        const { near, far, out } = await rawPair({ unix: true });
        const input = fs.openSync(tmpFile(1000), 'r');
        let done = 0;
        for (let i = 0; i < 500; i++) sendfile(out, input, 0, 10).then(() => (done += 1), () => (done += 1));
        near.destroy();
        far.destroy();
        process.on('exit', () => fs.writeSync(1, String(done)));
        ${end}
      })();`;
    const { code, signal, stdout, stderr } = await runInChild(program);
    expect({ code, signal, stdout, stderr }).toEqual({
      code: 0,
      signal: null,
      stdout: end === '' ? '500' : '0',
      stderr: '',
    });
  });
});
