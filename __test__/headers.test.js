'use strict';

/** Headers and trailers of the call: every form they may have, where they may go, and how to go on after a part. */

const fs = require('node:fs');
const rsSendfile = require('..');
const { bothForms, failure, pattern, takeAll, takeBytes, takeNow, tmpFile, tmpPath } = require('./helpers');
const { closeAll, fifo, fileOf, open, pair } = require('./raw');

const { waitWritable } = rsSendfile;
const onLinux = process.platform === 'linux' ? describe : describe.skip;

afterEach(closeAll);

const sizeOf = (buffers) => buffers.reduce((sum, buffer) => sum + buffer.length, 0);

/** What is left of a list of buffers after its first `skip` bytes. */
function beyond(buffers, skip) {
  const rest = [];
  let missing = skip;
  for (const buffer of buffers) {
    if (missing < buffer.length) rest.push(buffer.subarray(missing));
    missing = Math.max(0, missing - buffer.length);
  }
  return rest;
}

/**
 * Delivers headers, file and trailers by the raw call alone, going on from the counts; `whenFull` is called at EAGAIN.
 * Returns each call's count.
 */
async function sendAll(call, out, { headers, input, size, trailers }, whenFull) {
  const head = sizeOf(headers);
  const total = head + size + sizeOf(trailers);
  const counts = [];
  let sent = 0;
  while (sent < total) {
    const place = Math.min(Math.max(0, sent - head), size);
    const tail = Math.max(0, sent - head - size);
    try {
      const count = await call(
        out,
        input,
        place,
        size - place,
        beyond(headers, sent),
        beyond(trailers, tail),
      );
      if (count === 0) throw new Error(`nothing more after ${sent} of ${total} bytes`);
      counts.push(count);
      sent += count;
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      await whenFull();
    }
  }
  return counts;
}

describe.each(bothForms(rsSendfile))('%s', (_name, call) => {
  describe('forms', () => {
    const inside = Buffer.from('..héad..');
    const shared = new Uint8Array(new SharedArrayBuffer(9), 2, 5);
    shared.set(Buffer.from('héad'));
    const subclass = new (class Bytes extends Uint8Array {})(Buffer.from('héad'));
    const forms = [
      ['text, as UTF-8', 'héad'],
      ['a Buffer', Buffer.from('héad')],
      ['a Uint8Array', new Uint8Array(Buffer.from('héad'))],
      ['a part of a Buffer', inside.subarray(2, 7)],
      ['a Uint8Array with a byteOffset', new Uint8Array(inside.buffer, inside.byteOffset + 2, 5)],
      ['shared memory', shared],
      ['a subclass of Uint8Array', subclass],
      ['a list of one', ['héad']],
      ['a list of all kinds', ['h', Buffer.from('é'), new Uint8Array([97]), shared.subarray(4)]],
      ['a list with empty ones', ['', 'h', Buffer.alloc(0), 'é', new Uint8Array(0), 'ad', '']],
    ];
    test.each(forms)('%s', async (_what, bytes) => {
      const { out, near, peer } = await pair();
      const input = fileOf('|file|');
      expect(await call(out, input, 0, null, bytes, bytes)).toBe(16);
      expect(await call(out, input, 0, null, { headers: bytes, trailers: bytes })).toBe(16);
      expect(await call(out, input, 1, 4, bytes)).toBe(9);
      expect(await call(out, input, 1, 4, null, bytes)).toBe(9);
      expect(await call(out, input, 0, 0, bytes)).toBe(5);
      expect(await call(out, input, 0, 0, undefined, bytes)).toBe(5);
      near.end();
      const text = 'héad|file|héadhéad|file|héadhéadfilefilehéadhéadhéad';
      expect((await takeAll(peer)).toString()).toBe(text);
    });

    test.each([
      ['null', null],
      ['undefined', undefined],
      ['an empty text', ''],
      ['an empty Buffer', Buffer.alloc(0)],
      ['an empty list', []],
      ['a list of empty ones', ['', Buffer.alloc(0), '']],
    ])('%s is none', async (_what, none) => {
      const { out, near, peer } = await pair();
      expect(await call(out, fileOf('file'), 0, null, none, none)).toBe(4);
      expect(await call(out, fileOf('file'), 0, 0, none, none)).toBe(0);
      expect(await call(out, fileOf(''), 0, null, { headers: none, trailers: none })).toBe(0);
      near.end();
      expect((await takeAll(peer)).toString()).toBe('file');
    });

    test('an options object says the same as places do', async () => {
      const input = fileOf('0123456789');
      const cases = [
        [['h'], { headers: 'h' }],
        [[null, 't'], { trailers: 't' }],
        [['h', 't', 0], { headers: 'h', trailers: 't', flags: 0 }],
        [[undefined, undefined, undefined], {}],
        [[], undefined],
      ];
      for (const [places, options] of cases) {
        const both = [];
        for (const rest of [places, [options]]) {
          const { out, near, peer } = await pair();
          const count = await call(out, input, 2, 5, ...rest);
          near.end();
          both.push([count, (await takeAll(peer)).toString()]);
        }
        expect(both[1]).toEqual(both[0]);
        expect(both[0][1]).toContain('23456');
      }
    });

    test.each([[1023], [1024], [1025], [5000]])('%d buffers', async (many) => {
      const list = Array.from({ length: many }, (_, n) => (n % 3 ? Buffer.from(`${n},`) : `${n};`));
      const bytes = Buffer.concat(list.map((part) => Buffer.from(part)));
      const input = fileOf('file');
      const { out, near, peer } = await pair();
      const request = { headers: [bytes], input, size: 4, trailers: [bytes] };
      const first = await call(out, input, 0, null, list, list);
      expect(first).toBeGreaterThan(0);
      expect(first).toBe(2 * bytes.length + 4);
      near.end();
      const all = Buffer.concat([...request.headers, Buffer.from('file'), ...request.trailers]);
      expect((await takeAll(peer)).equals(all)).toBe(true);
    });
  });

  describe('the count', () => {
    const cases = [
      ['nothing fits but a part of the header', 2_000_000, 1000, 1000],
      ['the border lies in the file', 1000, 2_000_000, 1000],
      ['the border lies in the trailer', 1000, 1000, 2_000_000],
    ];
    test.each(cases)('%s: it is what arrived', async (_what, head, size, tail) => {
      const headers = [pattern(head, 1)];
      const content = pattern(size, 2);
      const trailers = [pattern(tail, 3)];
      const { out, near, peer } = await pair();
      const count = await call(out, fileOf(content), 0, null, headers, trailers);
      expect(count).toBeGreaterThan(2000);
      expect(count).toBeLessThan(head + size + tail);
      near.end();
      const received = await takeAll(peer);
      expect(received.length).toBe(count);
      expect(received.equals(Buffer.concat([...headers, content, ...trailers]).subarray(0, count))).toBe(
        true,
      );
    });

    test('no byte of the file before all of the header, none of the trailer before all of the file', async () => {
      const { out, peer } = await pair();
      const header = pattern(5_000_000, 4);
      const input = fileOf(pattern(5_000_000, 5));
      // The buffer has room again while the call is being made: what follows must not fill it.
      const first = await call(out, input, 0, null, header, 'tail');
      const taken = takeNow(peer, 100_000);
      const second = await call(out, input, 0, null, header.subarray(first), 'tail');
      const rest = await takeBytes(peer, first + second - taken.length);
      expect(Buffer.concat([taken, rest]).equals(header.subarray(0, first + second))).toBe(true);
    });

    test('a file that is shorter than nbytes still has its trailer', async () => {
      const { out, near, peer } = await pair();
      expect(await call(out, fileOf('short'), 0, 1_000_000, '<', '>')).toBe(7);
      expect(await call(out, fileOf('short'), 100, 1_000_000, '<', '>')).toBe(2);
      near.end();
      expect((await takeAll(peer)).toString()).toBe('<short><>');
    });

    test('a full buffer is EAGAIN, with headers too', async () => {
      const { out } = await pair();
      const header = pattern(1_000_000);
      const refused = await failure(async () => {
        for (;;) await call(out, fileOf('file'), 0, null, header);
      });
      expect(refused.code).toBe('EAGAIN');
      expect((await failure(() => call(out, fileOf('file'), 0, null, null, header))).code).toBe('EAGAIN');
    });
  });

  describe('a hand-written loop with waitWritable, and a slow reader', () => {
    /** Takes little by little, a bit in every turn of the event loop. */
    async function readSlowly(peer, length, step) {
      const chunks = [];
      let missing = length;
      while (missing > 0) {
        const chunk = takeNow(peer, Math.min(step, missing));
        if (chunk?.length === 0) break;
        if (chunk !== null) {
          chunks.push(chunk);
          missing -= chunk.length;
        }
        await new Promise(setImmediate);
      }
      return Buffer.concat(chunks);
    }

    const three = (size, seed) => {
      const bytes = pattern(size, seed);
      const [a, b] = [Math.floor(size * 0.4), Math.floor(size * 0.45)];
      return [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)];
    };

    test.each([
      ['200 kB, unix socket', 200_000, 200_000, { unix: true }, 4096],
      ['2 MB, unix socket', 2_000_000, 1_000_000, { unix: true }, 32_768],
      ['2 MB, file empty', 2_000_000, 0, { unix: true }, 50_000],
      ['8 MB, TCP', 8_000_000, 1_000_000, {}, 200_000],
    ])(
      '%s: headers in three buffers and trailers likewise arrive byte for byte',
      async (_what, bytes, size, options, step) => {
        const content = pattern(size, 8);
        const request = { headers: three(bytes, 6), input: fileOf(content), size, trailers: three(bytes, 7) };
        const { out, peer } = await pair(options);
        const all = Buffer.concat([...request.headers, content, ...request.trailers]);
        // The reader begins when nothing fits any more.
        let reading;
        const whenFull = () => {
          reading ??= readSlowly(peer, all.length, step);
          return waitWritable(out, { timeout: 20_000 });
        };
        const counts = await sendAll(call, out, request, whenFull);
        const received = await reading;
        expect(counts.length).toBeGreaterThan(1);
        expect(counts.reduce((sum, count) => sum + count)).toBe(all.length);
        expect(received.equals(all)).toBe(true);
        expect(takeNow(peer)).toBe(null);
      },
    );

    test('every border between header, file and trailer, a few bytes at a time', async () => {
      const headers = ['ab', 'c', 'defg'].map((text) => Buffer.from(text));
      const trailers = ['tu', 'vw', 'x'].map((text) => Buffer.from(text));
      const input = fileOf('01234');
      const all = 'abcdefg01234tuvwx';
      for (let start = 0; start <= all.length; start++) {
        const { out, near, peer } = await pair();
        const place = Math.min(Math.max(0, start - 7), 5);
        const rest = [beyond(headers, start), beyond(trailers, Math.max(0, start - 12))];
        expect(await call(out, input, place, 5 - place, ...rest)).toBe(all.length - start);
        near.end();
        expect((await takeAll(peer)).toString()).toBe(all.slice(start));
      }
    });
  });

  onLinux('elsewhere than to a socket', () => {
    test('a file and a pipe take them, 3000 buffers too', async () => {
      const list = Array.from({ length: 3000 }, (_, n) => `${n},`);
      const text = list.join('');
      const path = tmpPath();
      const pipe = fifo();
      expect(await call(open(path, 'w'), fileOf('file'), 0, null, list, list)).toBe(2 * text.length + 4);
      expect(fs.readFileSync(path, 'utf8')).toBe(`${text}file${text}`);
      expect(await call(pipe, fileOf('file'), 0, null, list, list)).toBe(2 * text.length + 4);
      expect((await takeBytes(pipe, 2 * text.length + 4)).toString()).toBe(`${text}file${text}`);
    });
  });

  onLinux('nothing is held back', () => {
    // Linux holds a part-filled segment for 200 ms if the call has promised that more follows and nothing does. A busy
    // machine may be slow once, so the median of several counts, and its bound lies well below the 200 ms.
    test.each([
      ['an empty file', () => tmpFile(''), 0, null, undefined],
      ['no byte of a file', () => tmpFile('file'), 0, 0, undefined],
      ['a file that is at its end', () => tmpFile('file'), 4, null, undefined],
      ['a file of /proc that is at its end', () => '/proc/version', 1 << 20, null, undefined],
      ['an empty file and a trailer', () => tmpFile(''), 0, 10, 'tail'],
      ['a file of 4 bytes', () => tmpFile('file'), 0, 4096, undefined],
    ])('headers with %s are there at once', async (_what, path, offset, nbytes, trailers) => {
      const input = open(path());
      const times = [];
      for (let round = 0; round < 7; round++) {
        const { out, peer } = await pair({});
        const start = performance.now();
        const count = await call(out, input, offset, nbytes, 'head', trailers);
        expect((await takeBytes(peer, count)).toString()).toMatch(/^head(file)?(tail)?$/);
        times.push(performance.now() - start);
      }
      expect(times.sort((a, b) => a - b)[3]).toBeLessThan(150);
    });
  });
});
