'use strict';

const fs = require('node:fs');
const { once } = require('node:events');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { sendfile, transfer } = require('..');
const { pattern, readAll, readBytes, tmpFile } = require('./helpers');
const { closeAll, expectBytes, failure, keep, openFile, pair, through, underWay } = require('./streams');

afterEach(closeAll);

const SIZE = 300_001;
const content = pattern(SIZE, 7);
const file = tmpFile(content);

/** Sends with these options, and expects this part of the file. */
async function expectRange(options, from, to) {
  const { result, received } = await through((near) => transfer(near, file, options));
  expect(result).toBe(to - from);
  expectBytes(received, content.subarray(from, to));
}

describe('the range', () => {
  test('is the whole file by default', () => expectRange(undefined, 0, SIZE));
  test('starts at the offset', () => expectRange({ offset: 12_345 }, 12_345, SIZE));
  test('ends after the length', () => expectRange({ length: 70_001 }, 0, 70_001));
  test('has both', () => expectRange({ offset: 65_535, length: 65_537 }, 65_535, 131_072));
  test('is one byte', () => expectRange({ offset: SIZE - 1, length: 1 }, SIZE - 1, SIZE));
  test('takes bigints', () => expectRange({ offset: 5n, length: 10n }, 5, 15));
  test('has no end where the length is null', () => expectRange({ offset: 1, length: null }, 1, SIZE));
  test('is cut to the file on a bare socket', () =>
    expectRange({ offset: SIZE - 10, length: 1000 }, SIZE - 10, SIZE));
  test('is cut to the file where the length is past 2 ** 53', () =>
    expectRange({ length: 2n ** 63n - 1n }, 0, SIZE));
  test('is empty past the end', () => expectRange({ offset: SIZE, length: 10 }, 0, 0));
  test('is empty far past the end', () => expectRange({ offset: 2n ** 62n }, 0, 0));
  test('is empty by a length of 0', () => expectRange({ length: 0 }, 0, 0));

  test('of an empty file is empty', async () => {
    const { result, received } = await through((near) => transfer(near, tmpFile('')));
    expect(result).toBe(0);
    expect(received.length).toBe(0);
  });
});

describe('the source', () => {
  const sources = {
    'an fd': () => openFile(file),
    'a path': () => file,
    'a path as a Buffer': () => Buffer.from(file),
    'a path as a Uint8Array': () => new Uint8Array(Buffer.from(file)),
    'a file URL': () => pathToFileURL(file),
  };
  for (const [name, source] of Object.entries(sources)) {
    test(`is ${name}`, async () => {
      const { result, received } = await through((near) => transfer(near, source()));
      expect(result).toBe(SIZE);
      expectBytes(received, content);
    });
  }

  test('is a FileHandle, which stays open', async () => {
    const handle = await fs.promises.open(file);
    const { result, received } = await through((near) => transfer(near, handle));
    expect(result).toBe(SIZE);
    expectBytes(received, content);
    expect((await handle.stat()).size).toBe(SIZE);
    await handle.close();
  });

  test('is a FileHandle that is closed right after the call', async () => {
    const handle = await fs.promises.open(file);
    const { received } = await through((near) => Promise.all([transfer(near, handle), handle.close()]));
    expectBytes(received, content);
  });

  test('is a path with a character of several bytes', async () => {
    const { received } = await through((near) => transfer(near, tmpFile('äöü', 'Grüße 🚀')));
    expect(received.toString()).toBe('äöü');
  });

  test('is a path whose bytes are no text', async () => {
    const odd = Buffer.concat([Buffer.from(tmpFile('')), Buffer.from([0xff, 0xfe])]);
    fs.writeFileSync(odd, 'odd');
    const { received } = await through((near) => transfer(near, odd));
    expect(received.toString()).toBe('odd');
  });

  test('is one of two whose names are the same characters, of one as text and of the other as bytes', async () => {
    const folder = path.dirname(tmpFile(''));
    const text = path.join(folder, '\u00e4.txt');
    const bytes = Buffer.from(text, 'latin1');
    fs.writeFileSync(text, 'text');
    fs.writeFileSync(bytes, 'bytes');
    // What is known of a path helps from the second time on.
    for (let round = 0; round < 3; round++) {
      for (const [name, content] of [
        [text, 'text'],
        [bytes, 'bytes'],
        [Buffer.from(text), 'text'],
      ]) {
        const { received } = await through((near) => transfer(near, name));
        expect(received.toString()).toBe(content);
      }
    }
  });

  test('given as bytes may be overwritten right after the call', async () => {
    const mine = Buffer.from(file);
    const { received } = await through((near) => {
      const sending = transfer(near, mine);
      mine.fill(0x78);
      return sending;
    });
    expectBytes(received, content);
  });
});

describe('a null offset', () => {
  const position = (fd) => Number(/^pos:\s*(\d+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`))[1]);

  test('starts at the position and moves it by the file bytes', async () => {
    const fd = openFile(file);
    fs.readSync(fd, Buffer.alloc(1000));
    const { result, received } = await through((near) =>
      transfer(near, fd, { offset: null, length: 500, headers: 'head', trailers: 'tail!' }),
    );
    expect(result).toBe(4 + 500 + 5);
    expectBytes(
      received,
      Buffer.concat([Buffer.from('head'), content.subarray(1000, 1500), Buffer.from('tail!')]),
    );
    expect(position(fd)).toBe(1500);
  });

  test('leads from one transfer to the next until the end', async () => {
    const fd = openFile(file);
    const { result, received } = await through(async (near) => {
      const counts = [];
      do counts.push(await transfer(near, fd, { offset: null, length: 120_000 }));
      while (counts.at(-1) > 0);
      return counts;
    });
    expect(result).toEqual([120_000, 120_000, SIZE - 240_000, 0]);
    expectBytes(received, content);
    expect(position(fd)).toBe(SIZE);
  });

  test('does not move the position before the end', async () => {
    const { near, far } = await pair({ unix: true });
    const fd = openFile(pattern(2 << 20));
    const sending = transfer(near, fd, { offset: null });
    await underWay(near);
    expect(position(fd)).toBe(0);
    far.resume();
    await sending;
    expect(position(fd)).toBe(2 << 20);
  });

  test('moves the position by what was sent when the transfer fails', async () => {
    const { near } = await pair({ unix: true });
    const fd = openFile(pattern(2 << 20));
    const abort = new AbortController();
    const sending = transfer(near, fd, { offset: null, headers: '12345', signal: abort.signal });
    await underWay(near, 5);
    abort.abort();
    const { bytesSent } = await failure(sending);
    expect(bytesSent).toBeGreaterThan(5);
    expect(position(fd)).toBe(bytesSent - 5);
  });

  test('does not move the position when nothing was sent', async () => {
    const { near } = await pair();
    const fd = openFile(file);
    fs.readSync(fd, Buffer.alloc(10));
    near.destroy();
    await failure(transfer(near, fd, { offset: null }));
    expect(position(fd)).toBe(10);
  });

  test('given as 0 instead leaves the position alone', async () => {
    const fd = openFile(file);
    fs.readSync(fd, Buffer.alloc(10));
    await through((near) => transfer(near, fd));
    expect(position(fd)).toBe(10);
  });
});

describe('headers and trailers', () => {
  const forms = {
    strings: ['hé', 'tré'],
    Buffers: [Buffer.from('hé'), Buffer.from('tré')],
    'views into a larger memory': [
      Buffer.from('xxhéyy').subarray(2, 5),
      new Uint8Array(Buffer.from('aatrébb')).subarray(2, 6),
    ],
    lists: [
      ['h', Buffer.from('é')],
      [new Uint8Array([0x74]), 'ré'],
    ],
  };
  for (const [name, [headers, trailers]] of Object.entries(forms)) {
    test(`are ${name}, and count`, async () => {
      const { result, received } = await through((near) =>
        transfer(near, file, { headers, trailers, length: 3 }),
      );
      expect(result).toBe(3 + 3 + 4);
      expectBytes(received, Buffer.concat([Buffer.from('hé'), content.subarray(0, 3), Buffer.from('tré')]));
    });
  }

  test('go out without file bytes', async () => {
    const { result, received } = await through((near) =>
      transfer(near, file, { headers: 'a', trailers: 'b', length: 0 }),
    );
    expect(result).toBe(2);
    expect(received.toString()).toBe('ab');
  });

  test('are several hundred kilobytes over small buffers', async () => {
    const headers = [pattern(100_000, 2), pattern(100_000, 3), pattern(3, 4)];
    const trailers = [pattern(200_000, 5), pattern(1, 6)];
    const { result, received } = await through((near) => transfer(near, file, { headers, trailers }), {
      unix: true,
    });
    expect(result).toBe(200_003 + SIZE + 200_001);
    expectBytes(received, Buffer.concat([...headers, content, ...trailers]));
  });

  test('are more than 1024', async () => {
    const headers = Array.from({ length: 2500 }, (_, i) => `${i},`);
    const { received } = await through((near) =>
      transfer(near, file, { headers, trailers: headers, length: 1 }),
    );
    expect(received.toString('latin1')).toBe(
      headers.join('') + content.toString('latin1', 0, 1) + headers.join(''),
    );
  });
});

describe('both spellings', () => {
  const spellings = {
    'transfer(out, file, options)': (near) => transfer(near, file, { offset: 10, length: 20, headers: 'h' }),
    'sendfile(out, file, options)': (near) => sendfile(near, file, { offset: 10, length: 20, headers: 'h' }),
    'sendfile(out, file, offset, nbytes, options)': (near) => sendfile(near, file, 10, 20, { headers: 'h' }),
    'sendfile(out, file, bigint, bigint, options)': (near) =>
      sendfile(near, file, 10n, 20n, { headers: 'h' }),
    'sendfile(out, fd, null, nbytes, options)': (near) => {
      const fd = openFile(file);
      fs.readSync(fd, Buffer.alloc(10));
      return sendfile(near, fd, null, 20, { headers: 'h' });
    },
  };
  for (const [name, send] of Object.entries(spellings)) {
    test(`${name}`, async () => {
      const { result, received } = await through(send);
      expect(result).toBe(21);
      expectBytes(received, Buffer.concat([Buffer.from('h'), content.subarray(10, 30)]));
    });
  }

  test('sendfile(out, file) sends the whole file', async () => {
    const { result } = await through((near) => sendfile(near, file));
    expect(result).toBe(SIZE);
  });

  test('sendfile(out, file, offset) sends the rest', async () => {
    const { received } = await through((near) => sendfile(near, file, 100));
    expectBytes(received, content.subarray(100));
  });

  test('sendfile(out, file, offset, null) sends the rest', async () => {
    const { received } = await through((near) => sendfile(near, file, 100, null));
    expectBytes(received, content.subarray(100));
  });
});

describe('the stream', () => {
  test('is not ended', async () => {
    const { near, far } = await pair();
    await transfer(near, file);
    expect(near.writable).toBe(true);
    near.end('after');
    const received = await readAll(far);
    expect(received.length).toBe(SIZE + 5);
    expect(received.subarray(SIZE).toString()).toBe('after');
  });

  test('has the transfer in writableLength until its end', async () => {
    const { near, far } = await pair({ unix: true });
    const size = 2 << 20;
    const sending = transfer(near, openFile(pattern(size)), { headers: 'abc' });
    expect(near.writableLength).toBe(size + 3);
    expect(near.writableNeedDrain).toBe(true);
    await underWay(near);
    expect(near.writableLength).toBe(size + 3);
    far.resume();
    await sending;
    near.write('');
    expect(near.writableLength).toBe(0);
  });

  test('counts bytesWritten as they leave, and exactly at the end', async () => {
    const { near, far } = await pair({ unix: true });
    const size = 2 << 20;
    near.write('12345');
    const sending = transfer(near, openFile(pattern(size)), { headers: 'abc', trailers: 'de' });
    await underWay(near, 5);
    const during = near.bytesWritten;
    expect(during).toBeGreaterThan(5);
    expect(during).toBeLessThan(5 + 3 + size + 2);
    await readBytes(far, during);
    expect(near.bytesWritten).toBeGreaterThanOrEqual(during);
    far.resume();
    await sending;
    expect(near.bytesWritten).toBe(5 + 3 + size + 2);
    near.write('123');
    expect(near.bytesWritten).toBe(5 + 3 + size + 2 + 3);
    near.end();
    await once(near, 'finish');
    expect(near.bytesWritten).toBe(5 + 3 + size + 2 + 3);
  });

  test('says no to more while a transfer fills it, and drains at its end', async () => {
    const { near, far } = await pair({ unix: true });
    expect(near.write('a')).toBe(true);
    let over = false;
    const sending = transfer(near, openFile(pattern(2 << 20))).then(() => {
      over = true;
    });
    expect(near.write('b')).toBe(false);
    const drained = once(near, 'drain').then(() => over);
    far.resume();
    await sending;
    expect(await drained).toBe(true);
    expect(near.write('c')).toBe(true);
  });

  test('calls write callbacks back in order', async () => {
    const { near, far } = await pair({ unix: true });
    const order = [];
    const called = (name) => () => order.push(name);
    near.write('a', called('write 1'));
    const sending = transfer(near, openFile(pattern(1 << 20))).then(called('transfer'));
    const last = new Promise((resolve) => near.write('b', resolve)).then(called('write 2'));
    near.end(called('finish'));
    far.resume();
    await Promise.all([sending, last, once(near, 'finish')]);
    expect(order).toEqual(['write 1', 'transfer', 'write 2', 'finish']);
  });

  test("has 'finish' only after the last byte", async () => {
    const { near, far } = await pair({ unix: true });
    const size = 1 << 20;
    transfer(near, openFile(pattern(size)));
    let finished = false;
    near.end(() => {
      finished = true;
    });
    await underWay(near);
    expect(finished).toBe(false);
    const received = await readAll(far);
    expect(received.length).toBe(size);
  });
});

test('an empty transfer settles after the call has returned', async () => {
  const { near } = await pair();
  let settled = false;
  const sending = transfer(near, openFile(Buffer.alloc(0))).then(() => {
    settled = true;
  });
  expect(settled).toBe(false);
  await sending;
});

test('a file longer than one marker arrives whole, with all around it', async () => {
  const size = 130 * 1024 * 1024 + 13;
  const block = pattern(1 << 20, 9);
  const path = tmpFile('');
  const fd = keep(fs.openSync(path, 'w+'));
  for (let at = 0; at < size; at += block.length) {
    fs.writeSync(fd, block, 0, Math.min(block.length, size - at), at);
  }
  const { near, far } = await pair();
  near.write('before');
  const sending = transfer(near, fd, { headers: 'HEAD', trailers: 'TAIL' });
  near.end('after');
  let at = 0;
  const expected = (from, length) => {
    const start = from % block.length;
    return block.subarray(start, start + length);
  };
  expect((await readBytes(far, 10)).toString()).toBe('beforeHEAD');
  while (at < size) {
    const chunk = await readBytes(far, Math.min(size - at, block.length - (at % block.length)));
    expect(chunk.length).toBeGreaterThan(0);
    expectBytes(chunk, expected(at, chunk.length));
    at += chunk.length;
  }
  expect((await readAll(far)).toString()).toBe('TAILafter');
  expect(await sending).toBe(size + 8);
  expect(near.bytesWritten).toBe(size + 8 + 11);
});
