'use strict';

/** Arguments that look right from afar: each is refused by its code before anything is sent, and nothing is left. */

const fs = require('node:fs');
const { sendfileSync, sendfile, transfer, waitWritable } = require('..');
const { fdOf, openFds, pattern, runInChild, tmpFile } = require('./helpers');
const { closeAll, failure, openFile, pair } = require('./streams');

afterEach(closeAll);

const file = tmpFile(pattern(1000));

describe('a signal that is none', () => {
  test.each([
    ['without removeEventListener', { aborted: false, addEventListener() {} }],
    ['with a number for addEventListener', { aborted: false, addEventListener: 1, removeEventListener() {} }],
  ])('%s is ERR_INVALID_ARG_TYPE', async (_how, signal) => {
    const { near } = await pair();
    const before = openFds();
    for (const promise of [transfer(near, file, { signal }), waitWritable(fdOf(near), { signal })]) {
      expect((await failure(promise)).code).toBe('ERR_INVALID_ARG_TYPE');
    }
    expect(openFds()).toEqual(before);
  });
});

class Mapped extends Array {
  map() {
    return 'anything';
  }
}

describe.each(['headers', 'trailers'])('%s', (name) => {
  test('with a hole are ERR_INVALID_ARG_TYPE', async () => {
    // biome-ignore lint/suspicious/noSparseArray: it is what is tested
    const list = [, 'a'];
    const { near } = await pair();
    const input = openFile(file);
    const args = name === 'headers' ? [list] : [null, list];
    expect(() => sendfileSync(fdOf(near), input, 0, 10, ...args)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    for (const promise of [
      sendfile(fdOf(near), input, 0, 10, ...args),
      transfer(near, input, { [name]: list }),
    ]) {
      expect((await failure(promise)).code).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  test('in a list with a `map` of its own are its elements', async () => {
    const { near, far } = await pair();
    const list = Mapped.from(['a', 'b']);
    expect(await transfer(near, file, { length: 0, [name]: list })).toBe(2);
    near.end();
    expect((await far.toArray()).join('')).toBe('ab');
  });
});

describe('what looks like a FileHandle', () => {
  test.each([2 ** 32, 1.5, Number.NaN])('with the fd %s more is ERR_OUT_OF_RANGE', async (more) => {
    const { near } = await pair();
    const handle = { fd: openFile(file) + more, stat() {}, close() {} };
    expect(() => sendfileSync(fdOf(near), handle, 0, 10)).toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
    );
    expect(await failure(transfer(near, handle))).toMatchObject({ code: 'ERR_OUT_OF_RANGE', bytesSent: 0 });
  });
});

test('every error of a transfer tells its bytesSent', async () => {
  const { near } = await pair();
  const failures = [
    transfer(null, file),
    transfer(near, Symbol('file')),
    transfer(near, file, { offset: -1 }),
    transfer(near, file, { length: 1.5 }),
    transfer(near, file, { signal: AbortSignal.abort() }),
    transfer(near, `${file}.none`),
    transfer(near, fs.constants.O_WRONLY + 1_000_000),
  ].map(failure);
  for (const { bytesSent } of await Promise.all(failures)) expect(bytesSent).toBe(0);
});

test('where the prototypes of errors are frozen, errors are still told by their codes', async () => {
  const { code, stdout, stderr } = await runInChild(`
    for (const one of [Error, TypeError, RangeError]) Object.freeze(one.prototype);
    const { transfer } = require(${JSON.stringify(require.resolve('..'))});
    const net = require('node:net');
    const fs = require('node:fs');
    const server = net.createServer((socket) => {
      const all = [
        transfer(socket, ${JSON.stringify(file)}, { length: 1.5 }),
        transfer(socket, ${JSON.stringify(file)}, { method: 1 }),
        transfer(new (require('node:stream').Writable)({ write() {} }), ${JSON.stringify(file)}, { timeout: 50 }),
      ];
      Promise.all(all.map((one) => one.catch(({ name, code }) => name + ' ' + code))).then((codes) => {
        console.log(JSON.stringify(codes));
        process.exit();
      });
    });
    server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1'));`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual([
    'RangeError ERR_OUT_OF_RANGE',
    'TypeError ERR_INVALID_ARG_TYPE',
    'Error ERR_SENDFILE_TIMEOUT',
  ]);
});
