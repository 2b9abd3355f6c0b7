'use strict';

/**
 * A runtime whose `fs` reads only from descriptors that it has opened itself, as Deno's does: made from Node by an `fs`
 * that refuses all others.
 */

const { pattern, runInChild, tmpFile } = require('./helpers');

const prelude = `
  const fs = require('node:fs');
  const own = new Set([0, 1, 2]);
  const { openSync, closeSync, fstatSync, read } = fs;
  fs.openSync = (...args) => { const fd = openSync(...args); own.add(fd); return fd; };
  fs.closeSync = (fd) => { own.delete(fd); closeSync(fd); };
  const refusal = () => Object.assign(new Error('EBADF: bad file descriptor'), { code: 'EBADF' });
  fs.fstatSync = (fd, ...rest) => { if (!own.has(fd)) throw refusal(); return fstatSync(fd, ...rest); };
  fs.read = (fd, ...rest) => own.has(fd) ? read(fd, ...rest) : rest.at(-1)(refusal());
  const { PassThrough } = require('node:stream');
  const { transfer } = require('.');
  const { readAll } = require('./__test__/helpers');
  async function send(file, options) {
    const out = new PassThrough();
    const received = readAll(out);
    const bytes = await transfer(out, file, options);
    out.end();
    return [bytes, await received];
  }
`;

const content = pattern(300_000, 4);
const file = JSON.stringify(tmpFile(content));

test('copies from a path and from an fd that is closed at once', async () => {
  const { stdout, stderr } = await runInChild(`${prelude}
    (async () => {
      const expected = require('node:fs').readFileSync(${file});
      const [whole, first] = await send(${file});
      const fd = fs.openSync(${file});
      const sending = send(fd, { offset: 1000, length: 200_000 });
      fs.closeSync(fd);
      const [part, second] = await sending;
      console.log(whole, first.equals(expected), part, second.equals(expected.subarray(1000, 201_000)));
    })();
  `);
  expect({ stdout, stderr }).toEqual({ stdout: '300000 true 200000 true\n', stderr: '' });
});

test('copies from a FIFO until its end, and tells a file that ends early', async () => {
  const { stdout, stderr } = await runInChild(`${prelude}
    (async () => {
      const { openFifo, tmpFile } = require('./__test__/helpers');
      const fifo = openFifo();
      const input = fs.openSync(fifo.path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      own.add(fifo.fd);
      fs.writeSync(fifo.fd, 'through a pipe');
      fs.closeSync(fifo.fd);
      const [bytes, received] = await send(input);
      console.log(bytes, String(received));
      const out = new PassThrough();
      const short = tmpFile(200_000);
      out.once('readable', () => { fs.truncateSync(short, 10); out.resume(); });
      await transfer(out, short).catch(({ code }) => console.log(code));
    })();
  `);
  expect({ stdout, stderr }).toEqual({
    stdout: '14 through a pipe\nERR_SENDFILE_TRUNCATED\n',
    stderr: '',
  });
});
