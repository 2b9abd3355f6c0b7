'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { transfer } = require('..');
const {
  openFds,
  pattern,
  readAll,
  readBytes,
  root,
  runInChild,
  tmpFile,
  tmpPath,
  until,
} = require('./helpers');
const { closeAll, expectBytes, failure, keep, openFile, pair } = require('./streams');

afterEach(closeAll);

const SIZE = 2 << 20;
const content = pattern(SIZE, 31);
const file = tmpFile(content);

const count = () => openFds().size;

function fifo() {
  const name = tmpPath('fifo');
  execFileSync('mkfifo', [name]);
  return name;
}

function closedFd() {
  const fd = fs.openSync(file);
  fs.closeSync(fd);
  return fd;
}

async function closedHandle() {
  const handle = await fs.promises.open(file);
  await handle.close();
  return handle;
}

/** What cannot be sent, and how the error reads. */
const refused = {
  'a path that does not exist': [
    () => '/does/not/exist',
    { code: 'ENOENT', syscall: 'open', path: '/does/not/exist' },
  ],
  'an empty path': [() => '', { code: 'ENOENT' }],
  'a path below a file': [() => path.join(file, 'below'), { code: 'ENOTDIR', syscall: 'open' }],
  'the path of a directory': [() => __dirname, { code: 'EISDIR' }],
  'the fd of a directory': [() => openFile(__dirname), { code: 'EISDIR' }],
  'the path of a FIFO that nobody writes to': [fifo, { code: 'EINVAL' }],
  'the path of a device': [() => '/dev/zero', { code: 'EINVAL' }],
  'a write-only fd': [() => openFile(tmpFile('12345'), 'a'), { code: 'EBADF', syscall: 'sendfile' }],
  'a closed fd': [closedFd, { code: 'EBADF', syscall: 'sendfile' }],
  'a negative fd': [() => -1, { code: 'EBADF' }],
  'a closed FileHandle': [closedHandle, { code: 'EBADF' }],
  'a path with a null byte': [() => 'a\0b', { code: 'ERR_INVALID_ARG_VALUE' }],
  'bytes with a null byte': [() => Buffer.from('a\0b'), { code: 'ERR_INVALID_ARG_VALUE' }],
  'a URL that is no file': [() => new URL('http://127.0.0.1/file'), { code: 'ERR_INVALID_URL_SCHEME' }],
  'an fd that is no integer': [() => 1.5, { code: 'ERR_OUT_OF_RANGE' }],
  'an fd that is NaN': [() => Number.NaN, { code: 'ERR_OUT_OF_RANGE' }],
  'an fd past 2 ** 31': [() => 1e10, { code: 'ERR_OUT_OF_RANGE' }],
  nothing: [() => undefined, { code: 'ERR_INVALID_ARG_TYPE' }],
  null: [() => null, { code: 'ERR_INVALID_ARG_TYPE' }],
  'an object': [() => ({}), { code: 'ERR_INVALID_ARG_TYPE' }],
  'a bigint': [() => 3n, { code: 'ERR_INVALID_ARG_TYPE' }],
};

for (const [name, [source, expected]] of Object.entries(refused)) {
  test(`${name} is refused: nothing is sent or left open, the stream stays usable`, async () => {
    const { near, far } = await pair();
    await transfer(near, file, { length: 1 }); // what is made once is there
    const bad = await source();
    const before = count();
    expect(await failure(transfer(near, bad))).toMatchObject(expected);
    expect(await failure(transfer(near, bad, { headers: 'h', trailers: 't' }))).toMatchObject(expected);
    expect(count()).toBe(before);
    expect(near.destroyed).toBe(false);
    expect(await transfer(near, file, { length: 3 })).toBe(3);
    near.end('after');
    const sent = [content.subarray(0, 1), content.subarray(0, 3), Buffer.from('after')];
    expectBytes(await readAll(far), Buffer.concat(sent));
  });
}

const options = {
  'a negative offset': [{ offset: -1 }, { code: 'EINVAL', syscall: 'sendfile' }],
  'a negative bigint offset': [{ offset: -1n }, { code: 'EINVAL' }],
  'a negative length': [{ length: -1 }, { code: 'EINVAL' }],
  'an offset that is no integer': [{ offset: 1.5 }, { code: 'ERR_OUT_OF_RANGE', name: 'RangeError' }],
  'an offset that is NaN': [{ offset: Number.NaN }, { code: 'ERR_OUT_OF_RANGE' }],
  'an offset of 2 ** 63': [{ offset: 2 ** 63 }, { code: 'ERR_OUT_OF_RANGE' }],
  'a bigint length of 2 ** 63': [{ length: 2n ** 63n }, { code: 'ERR_OUT_OF_RANGE' }],
  'an offset as text': [{ offset: '1' }, { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' }],
  'headers of a number': [{ headers: 5 }, { code: 'ERR_INVALID_ARG_TYPE' }],
  'trailers with a null in them': [{ trailers: ['a', null] }, { code: 'ERR_INVALID_ARG_TYPE' }],
  'a signal that is none': [{ signal: {} }, { code: 'ERR_INVALID_ARG_TYPE' }],
  'a timeout as text': [{ timeout: '1' }, { code: 'ERR_INVALID_ARG_TYPE' }],
  'a negative timeout': [{ timeout: -1 }, { code: 'ERR_OUT_OF_RANGE' }],
  'a timeout that is NaN': [{ timeout: Number.NaN }, { code: 'ERR_OUT_OF_RANGE' }],
  'an onProgress that is no function': [{ onProgress: 1 }, { code: 'ERR_INVALID_ARG_TYPE' }],
  'an unknown method': [{ method: 'splice' }, { code: 'ERR_INVALID_ARG_VALUE' }],
  'a method of a number': [{ method: 1 }, { code: 'ERR_INVALID_ARG_TYPE' }],
  'options of null': [null, { code: 'ERR_INVALID_ARG_TYPE' }],
  'options of a number': [5, { code: 'ERR_INVALID_ARG_TYPE' }],
};

for (const [name, [given, expected]] of Object.entries(options)) {
  test(`${name}: refused by a promise, nothing is sent or left open`, async () => {
    const { near, far } = await pair();
    const fd = openFile(file);
    const before = count();
    expect(await failure(transfer(near, fd, given))).toMatchObject(expected);
    expect(await failure(transfer(near, file, given))).toMatchObject(expected);
    expect(count()).toBe(before);
    near.end('after');
    expect((await readAll(far)).toString()).toBe('after');
  });
}

test.each([[null], [undefined], [{}], ['out'], [Symbol('out')]])(
  'an output of %p is refused',
  async (out) => {
    expect(await failure(transfer(out, file))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  },
);

describe("the caller's fd", () => {
  test('may be closed right after the call, and its number taken by another file', async () => {
    const { near, far } = await pair({ unix: true });
    const fd = fs.openSync(file);
    const sending = transfer(near, fd);
    fs.closeSync(fd);
    const others = Array.from({ length: 20 }, () => openFile(tmpFile(Buffer.alloc(SIZE, 'x'))));
    expect(others).toContain(fd);
    near.end();
    expectBytes(await readAll(far), content);
    expect(await sending).toBe(SIZE);
  });

  test('may be closed right after the call by a transfer that waits for its turn', async () => {
    const { near, far } = await pair({ unix: true });
    const first = transfer(near, file); // a path: the next one waits until it is open
    const fd = fs.openSync(file);
    const second = transfer(near, fd);
    fs.closeSync(fd);
    keep(fs.openSync(tmpFile(Buffer.alloc(SIZE, 'x'))));
    const received = readAll(far);
    await Promise.all([first, second]);
    near.end();
    expectBytes(await received, Buffer.concat([content, content]));
  });
});

describe('a file that changes under way', () => {
  test.each(['auto', 'copy'])('by becoming shorter ends the connection, method %s', async (method) => {
    const { near, far } = await pair({ unix: true });
    const shrinking = tmpFile(content);
    const sending = failure(transfer(near, openFile(shrinking), { method, trailers: 'never' }));
    await readBytes(far, 1);
    fs.truncateSync(shrinking, SIZE / 2);
    const received = await readAll(far);
    expect(await sending).toMatchObject({ code: 'ERR_SENDFILE_TRUNCATED', bytesSent: SIZE / 2 });
    expect(near.destroyed).toBe(true);
    expectBytes(received, content.subarray(1, SIZE / 2));
  });

  test('by becoming longer is sent as far as was promised', async () => {
    const { near, far } = await pair({ unix: true });
    const growing = tmpFile(content);
    const sending = transfer(near, openFile(growing));
    near.end('after');
    await readBytes(far, 1);
    fs.appendFileSync(growing, content);
    const received = await readAll(far);
    expect(await sending).toBe(SIZE);
    expectBytes(received, Buffer.concat([content.subarray(1), Buffer.from('after')]));
  });

  test('by being replaced or deleted is sent as it was', async () => {
    for (const change of [
      (name) => fs.unlinkSync(name),
      (name) => fs.renameSync(tmpFile(Buffer.alloc(SIZE)), name),
    ]) {
      const { near, far } = await pair({ unix: true });
      const name = tmpFile(content);
      const sending = transfer(near, name);
      sending.then(
        () => near.end(),
        () => {},
      );
      const some = await readBytes(far, 1);
      change(name);
      expectBytes(Buffer.concat([some, await readAll(far)]), content);
      expect(await sending).toBe(SIZE);
    }
  });

  test('by another file in its place is sent as it is now when it is asked for again', async () => {
    const name = tmpFile('first');
    const { near, far } = await pair();
    await transfer(near, name);
    await transfer(near, name);
    fs.renameSync(tmpFile('second'), name);
    await transfer(near, name);
    fs.unlinkSync(name);
    expect(await failure(transfer(near, name))).toMatchObject({ code: 'ENOENT' });
    fs.symlinkSync(tmpFile('third'), name);
    await transfer(near, name);
    near.end();
    expect((await readAll(far)).toString()).toBe('firstfirstsecondthird');
  });
});

test('a FIFO as an fd is copied until its end', async () => {
  const name = fifo();
  const { near, far } = await pair();
  const fd = keep(fs.openSync(name, fs.constants.O_RDWR));
  const reading = keep(fs.openSync(name, 'r'));
  fs.writeSync(fd, 'from the pipe');
  fs.closeSync(fd);
  expect(await transfer(near, reading)).toBe(13);
  near.end();
  expect((await readAll(far)).toString()).toBe('from the pipe');
});

test('a file whose size says nothing is copied until its end', async () => {
  const { near, far } = await pair();
  const sent = await transfer(near, '/proc/self/status', { headers: '<', trailers: '>' });
  near.end();
  const text = (await readAll(far)).toString();
  expect(text.length).toBe(sent);
  expect(text).toMatch(/^<Name:[\s\S]*\n>$/);
});

/** The option that turns Node's permission model on, from Node 20 on. */
const permission = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);

(permission ? describe : describe.skip)("Node's permission model", () => {
  test.each([['--allow-addons'], []])('refuses a path that is not allowed (%p)', async (...given) => {
    const allowed = tmpFile('allowed');
    const program = `
      const { transfer } = require('.');
      const { PassThrough } = require('node:stream');
      (async () => {
        const out = new PassThrough().resume();
        console.log(await transfer(out, ${JSON.stringify(allowed)}));
        for (const file of ['/etc/passwd', Buffer.from('/etc/passwd'), new URL('file:///etc/passwd')]) {
          await transfer(out, file).catch(({ code, permission, bytesSent }) => console.log(code, permission, bytesSent));
        }
        await transfer(out, ${JSON.stringify(allowed)} + '/../../../../etc/passwd').catch(({ code }) => console.log(code));
        console.log(out.destroyed);
      })();
    `;
    const args = [permission, `--allow-fs-read=${root}/*`, `--allow-fs-read=${allowed}`, ...given.flat()];
    const { stdout, code } = await runInChild(program, { args });
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      '7',
      ...Array(3).fill('ERR_ACCESS_DENIED FileSystemRead 0'),
    ]);
    expect(stdout).toContain('false');
    expect(code).toBe(0);
  });
});

test('nothing is left open by sources that were refused many times', async () => {
  const { near } = await pair();
  const before = count();
  const bad = [closedFd(), openFile(__dirname), '/dev/zero', __dirname, '/does/not/exist', fifo()];
  const opened = count();
  for (let i = 0; i < 50; i++) await Promise.all(bad.map((source) => failure(transfer(near, source))));
  await until(() => count() <= opened, 'the descriptors');
  expect(opened - before).toBe(1);
});
