'use strict';

/**
 * Bad input to the call: each has one outcome, the table of index.d.ts, and looks like an error of Node's own. Nothing
 * is sent and no descriptor is left over.
 */

const fs = require('node:fs');
const rsSendfile = require('..');
const {
  bothForms,
  failure,
  openFds,
  openFifo,
  rawPair,
  root,
  runInChild,
  takeNow,
  tmpFile,
  tmpPath,
} = require('./helpers');

const { sendfile, sendfileSync, waitWritable } = rsSendfile;
const onLinux = process.platform === 'linux' ? describe : describe.skip;

let sockets;
let input;
let bad;
beforeAll(async () => {
  sockets = await rawPair({ unix: true });
  input = fs.openSync(tmpFile(1000), 'r');
  const closed = fs.openSync('/dev/null', 'r');
  fs.closeSync(closed);
  bad = { writeOnly: fs.openSync(tmpPath(), 'w'), directory: fs.openSync(root, 'r'), pipe: openFifo().fd };
});
afterAll(() => {
  sockets.near.destroy();
  sockets.far.destroy();
  for (const fd of [input, ...Object.values(bad)]) fs.closeSync(fd);
});

/** What users see of an error. */
function face(error) {
  const { name, message, code, errno, syscall } = error;
  return { name, message, code, errno, syscall, keys: Object.keys(error).sort() };
}

/** Makes the call with one argument changed. */
function withArgument(call, position, value) {
  const given = [sockets.out, input, 0, 10, 'head', 'tail', 0];
  given[position] = value;
  return call(...given);
}

const [OUT, IN, OFFSET, NBYTES, HEADERS, TRAILERS, FLAGS] = [0, 1, 2, 3, 4, 5, 6];

describe.each(bothForms(rsSendfile))('%s, bad input', (_name, call) => {
  let fds;
  beforeEach(() => {
    if (process.platform === 'linux') fds = openFds();
  });
  afterEach(() => {
    expect(takeNow(sockets.peer)).toBe(null);
    if (process.platform === 'linux') expect(openFds().size).toBe(fds.size);
  });

  const wrongTypes = [
    ['outFd', OUT, [null, undefined, true, 1n, Symbol('s')]],
    ['inFd', IN, ['1', null, undefined, {}, [], true, 1n, { fd: 3 }, '/a/path', Buffer.from('/a/path')]],
    ['offset', OFFSET, ['0', {}, [], true, () => 0, Symbol('s')]],
    ['nbytes', NBYTES, ['10', {}, [10], false, Symbol('s')]],
    ['headers', HEADERS, [5, true, 1n, new Uint16Array(2), new DataView(new ArrayBuffer(2)), {}, () => 'h']],
    ['headers', HEADERS, [new ArrayBuffer(2), new SharedArrayBuffer(2), Symbol('s')]],
    ['trailers', TRAILERS, [5, true, 1n, new Float64Array(2), new ArrayBuffer(2), {}, new Set(['t'])]],
    ['flags', FLAGS, ['1', true, 1n, {}, [], Symbol('s')]],
  ];
  test.each(wrongTypes)('%s of a wrong type is ERR_INVALID_ARG_TYPE', async (name, position, values) => {
    for (const value of values) {
      const error = await failure(() => withArgument(call, position, value));
      expect({ name: error.name, code: error.code }).toEqual({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
      expect(error.message).toMatch(new RegExp(`^The "${name}" argument must be .+\\. Received `));
      expect(error.stack).toMatch(/^TypeError \[ERR_INVALID_ARG_TYPE\]: /);
    }
  });

  test.each([
    ['headers', HEADERS],
    ['trailers', TRAILERS],
  ])('a wrong type in the list of %s names its place', async (name, position) => {
    for (const value of [1, null, undefined, ['nested'], new ArrayBuffer(1)]) {
      const error = await failure(() => withArgument(call, position, ['good', value]));
      expect(error.code).toBe('ERR_INVALID_ARG_TYPE');
      expect(error.message).toContain(`"${name}[1]"`);
    }
  });

  test.each([
    ['an ArrayBuffer', new ArrayBuffer(4)],
    ['a number', 5],
    ['a function', () => {}],
    ['headers of a wrong type', { headers: 5 }],
    ['trailers of a wrong type', { trailers: [5] }],
    ['flags of a wrong type', { flags: '1' }],
  ])('options: %s is ERR_INVALID_ARG_TYPE', async (_what, options) => {
    const error = await failure(() => call(sockets.out, input, 0, 10, options));
    expect(error.code).toBe('ERR_INVALID_ARG_TYPE');
  });

  const outOfRange = [
    ['outFd', OUT, [NaN, 1.5, Infinity, -Infinity, 2 ** 31, 2 ** 53]],
    ['inFd', IN, [NaN, 1.5, Infinity, 2 ** 31, -(2 ** 40)]],
    ['offset', OFFSET, [NaN, 1.5, Infinity, -Infinity, 2 ** 63, 2n ** 63n, 2n ** 64n, 1e300]],
    ['nbytes', NBYTES, [NaN, 0.1, Infinity, 2 ** 63, 2n ** 63n, 2n ** 200n]],
    ['flags', FLAGS, [NaN, 1.5, Infinity, 2 ** 32]],
  ];
  test.each(outOfRange)(
    '%s that is no integer or too large is ERR_OUT_OF_RANGE',
    async (name, position, values) => {
      for (const value of values) {
        const error = await failure(() => withArgument(call, position, value));
        expect({ name: error.name, code: error.code }).toEqual({
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
        });
        expect(error.message).toMatch(
          new RegExp(`^The value of "${name}" is out of range\\. It must be .+\\. Received `),
        );
      }
    },
  );

  test.each([
    ['offset', OFFSET],
    ['nbytes', NBYTES],
  ])('a negative %s is EINVAL', async (_what, position) => {
    for (const value of [-1, -1n, -(2 ** 31), -(2n ** 63n), -(2n ** 64n), -1e300]) {
      const error = await failure(() => withArgument(call, position, value));
      expect([error.code, error.syscall]).toEqual(['EINVAL', 'sendfile']);
    }
  });

  test.each([
    ['outFd', OUT],
    ['inFd', IN],
  ])('a negative %s is EBADF', async (_what, position) => {
    for (const value of [-1, -100, -(2 ** 31) + 1]) {
      expect((await failure(() => withArgument(call, position, value))).code).toBe('EBADF');
    }
  });

  test.each([
    ['outFd', OUT],
    ['inFd', IN],
  ])('a closed %s is EBADF', async (_what, position) => {
    const closed = fs.openSync('/dev/null', 'r+');
    fs.closeSync(closed);
    expect((await failure(() => withArgument(call, position, closed))).code).toBe('EBADF');
    expect((await failure(() => withArgument(call, position, 1_000_000))).code).toBe('EBADF');
  });

  test('outFd that is open only for reading is EBADF', async () => {
    expect((await failure(() => withArgument(call, OUT, bad.directory))).code).toBe('EBADF');
    expect((await failure(() => call(input, input, 0, 10))).code).toBe('EBADF');
  });

  test('inFd that is open only for writing is EBADF', async () => {
    expect((await failure(() => call(sockets.out, bad.writeOnly, 0, 10))).code).toBe('EBADF');
  });

  test('a directory as a source is EINVAL', async () => {
    expect((await failure(() => call(sockets.out, bad.directory, 0, 10))).code).toBe('EINVAL');
  });

  test('a FIFO or a socket as a source is ESPIPE, without an offset EINVAL', async () => {
    for (const source of [bad.pipe, sockets.peer]) {
      expect((await failure(() => call(sockets.out, source, 0, 10))).code).toBe('ESPIPE');
      expect((await failure(() => call(sockets.out, source, null, 10))).code).toBe('EINVAL');
    }
  });

  (process.platform === 'freebsd' ? test.skip : test)('flags where the OS has none are EINVAL', async () => {
    for (const flags of [1, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      expect((await failure(() => withArgument(call, FLAGS, flags))).code).toBe('EINVAL');
      expect((await failure(() => call(sockets.out, input, 0, 10, { flags }))).code).toBe('EINVAL');
    }
    for (const flags of [0, -0, null, undefined])
      expect(await call(sockets.out, input, 0, 0, { flags })).toBe(0);
  });

  test('a destroyed socket is EBADF', async () => {
    const { near, far, out } = await rawPair({ unix: true });
    far.destroy();
    near.destroy();
    expect((await failure(() => call(out, input, 0, 10))).code).toBe('EBADF');
  });

  test('an ended socket is EPIPE', async () => {
    const { near, far, out } = await rawPair({ unix: true });
    await new Promise((resolve) => near.end(resolve));
    expect((await failure(() => call(out, input, 0, 10))).code).toBe('EPIPE');
    far.destroy();
    near.destroy();
    await new Promise(setImmediate);
  });
});

describe('how it is told', () => {
  test('sendfileSync throws, sendfile returns a promise whatever it is given', async () => {
    for (const given of [[], ['x'], [1, 'x'], [1, 1, 1.5], [-1, -1, 0, 0], [null], [{}], [1, 1, 0, 0, 5]]) {
      expect(() => sendfileSync(...given)).toThrow();
      const promise = sendfile(...given);
      expect(typeof promise.then).toBe('function');
      await failure(() => promise);
    }
  });

  test('a first argument that is neither fd nor stream is ERR_INVALID_ARG_TYPE', async () => {
    for (const value of ['1', null, undefined, {}, [], true, 1n, () => {}, { write: 1 }]) {
      const error = await failure(() => sendfile(value, input, 0, 10));
      expect(error.code).toBe('ERR_INVALID_ARG_TYPE');
      expect(error.message).toMatch(
        /^The "outFd" argument must be of type number or an instance of Writable\./,
      );
    }
  });
});

onLinux("the errors are Node's own, but for the name of the call", () => {
  /** A real error of Node, as it would read for sendfile. */
  function asSendfile(error) {
    const { syscall } = error;
    return {
      ...face(error),
      syscall: 'sendfile',
      message: error.message.replace(`, ${syscall}`, ', sendfile'),
    };
  }

  test.each(bothForms(rsSendfile))('%s', async (_name, call) => {
    const closed = fs.openSync('/dev/null', 'r');
    fs.closeSync(closed);
    const { path: fifo, fd: both } = openFifo();
    const writer = fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    const cases = [
      // EBADF, ESPIPE, EINVAL, EAGAIN, EPIPE
      [() => fs.readSync(bad.writeOnly, Buffer.alloc(1)), () => call(sockets.out, bad.writeOnly, 0, 10)],
      [() => fs.readSync(bad.pipe, Buffer.alloc(1), 0, 1, 0), () => call(sockets.out, bad.pipe, 0, 10)],
      [() => fs.ftruncateSync(input), () => call(sockets.out, input, -1, 10)],
    ];
    for (const [ofNode, ofOurs] of cases) {
      expect(face(await failure(ofOurs))).toEqual(asSendfile(await failure(ofNode)));
    }
    const full = Buffer.alloc(1 << 16);
    const refused = await failure(() => {
      for (;;) fs.writeSync(writer, full);
    });
    expect(refused.code).toBe('EAGAIN');
    expect(face(await failure(() => call(writer, input, 0, 10)))).toEqual(asSendfile(refused));
    fs.closeSync(both);
    const broken = await failure(() => fs.writeSync(writer, full));
    expect(broken.code).toBe('EPIPE');
    expect(face(await failure(() => call(writer, input, 0, 10)))).toEqual(asSendfile(broken));
    fs.closeSync(writer);
  });

  test('wrong types read as those of fs do', async () => {
    // fs.closeSync has but this argument, of the same name as that of waitWritable.
    const values = ['x', null, undefined, {}, [], true, new Map()];
    for (const value of values) {
      const ofNode = await failure(() => fs.closeSync(value));
      expect(face(await failure(() => waitWritable(value)))).toEqual(face(ofNode));
    }
  });

  test('numbers out of range read as those of fs do', async () => {
    for (const value of [NaN, 1.5, Infinity]) {
      const ofNode = await failure(() => fs.closeSync(value));
      expect(face(await failure(() => waitWritable(value)))).toEqual(face(ofNode));
    }
    expect((await failure(() => waitWritable(2 ** 40))).message).toBe(
      'The value of "fd" is out of range. It must be >= 0 && <= 2147483647. Received 1_099_511_627_776',
    );
    expect((await failure(() => sendfile(1, input, 2n ** 63n, 1))).message).toMatch(
      /Received 9_223_372_036_854_775_808n$/,
    );
  });

  test('they are instances of the Error, TypeError and RangeError of their program', async () => {
    const program = `
      const { sendfileSync } = require('.');
      const caught = (...given) => { try { sendfileSync(...given); } catch (error) { return error; } };
      const system = caught(-1, 0, 0, 1);
      console.log(system instanceof Error, Object.getPrototypeOf(system) === Error.prototype,
        caught('x') instanceof TypeError, caught(NaN) instanceof RangeError);`;
    expect((await runInChild(program)).stdout).toBe('true true true true\n');
  });
});
