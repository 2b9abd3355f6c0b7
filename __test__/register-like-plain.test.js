'use strict';

/**
 * A file piped into a response under `rs-sendfile/register`, and by Node alone: the same head and body, the same events
 * of both in the same order, the same state afterwards, the same connection.
 */

const fs = require('node:fs');
const { PassThrough, pipeline, finished } = require('node:stream');
const { pattern, tmpFile, tmpPath } = require('./helpers');
const { exchange, hooked } = require('./piped');

/** Small: one piece. Large: several, and more than a socket takes. */
const small = tmpFile(pattern(20_011, 7), 'small');
const large = tmpFile(pattern(9_000_000, 8), 'large');
const sizeOf = (file) => fs.statSync(file).size;

/** Node reads ahead while nobody takes, and not every version hands the kernel a chance after that. */
const EITHER = Symbol('either');

/** `run(res, watched, req, note)`, and how many streams a transfer takes of it. */
const pipes = {
  'of no known length': {
    run: (res, watched) => watched(fs.createReadStream(large)).pipe(res),
  },
  'with a Content-Length': {
    run(res, watched) {
      res.setHeader('Content-Length', sizeOf(large));
      watched(fs.createReadStream(large)).pipe(res);
    },
  },
  'with a Content-Length by writeHead': {
    run(res, watched) {
      res.writeHead(200, { 'Content-Length': sizeOf(small) });
      watched(fs.createReadStream(small)).pipe(res);
    },
  },
  'to a client of HTTP/1.0': {
    options: { request: ['Connection: close'] },
    run(res, watched) {
      res.useChunkedEncodingByDefault = false;
      watched(fs.createReadStream(large)).pipe(res);
    },
  },
  'a range': {
    run(res, watched) {
      res.writeHead(206, { 'Content-Length': 5_000_000 });
      watched(fs.createReadStream(large, { start: 1001, end: 5_001_000 })).pipe(res);
    },
  },
  'from a place on': {
    run: (res, watched) => watched(fs.createReadStream(small, { start: 20_000 })).pipe(res),
  },
  'up to a place': {
    run: (res, watched) => watched(fs.createReadStream(small, { end: 99 })).pipe(res),
  },
  'up to a place that the file does not have': {
    run: (res, watched) => watched(fs.createReadStream(small, { start: 5, end: 1e9 })).pipe(res),
  },
  'from a place that the file does not have': {
    taken: 0,
    run: (res, watched) => watched(fs.createReadStream(small, { start: 1e9 })).pipe(res),
  },
  'of an fd, from its own position on': {
    run(res, watched) {
      const fd = fs.openSync(large);
      fs.readSync(fd, Buffer.alloc(1000), 0, 1000, null);
      watched(fs.createReadStream(null, { fd })).pipe(res);
    },
  },
  'of an fd that stays open': {
    run(res, watched, _, note) {
      const fd = fs.openSync(large);
      const stream = watched(fs.createReadStream(null, { fd, autoClose: false }));
      stream.pipe(res);
      res.on('finish', () => {
        note(`the position is ${fs.readSync(fd, Buffer.alloc(10), 0, 10, null)} bytes before the end`);
        fs.closeSync(fd);
      });
    },
  },
  'of a FileHandle': {
    async run(res, watched) {
      const handle = await fs.promises.open(large);
      watched(handle.createReadStream({ start: 3 })).pipe(res);
    },
  },
  'with a small highWaterMark': {
    run: (res, watched) => watched(fs.createReadStream(small, { highWaterMark: 100 })).pipe(res),
  },
  'by pipeline': {
    run: (res, watched, _, note) =>
      pipeline(watched(fs.createReadStream(large)), res, (error) => note(`pipeline ${error?.code}`)),
  },
  'by pipeline, with finished on both': {
    run(res, watched, _, note) {
      const stream = watched(fs.createReadStream(large));
      finished(stream, (error) => note(`stream finished ${error?.code}`));
      finished(res, (error) => note(`res finished ${error?.code}`));
      pipeline(stream, res, () => {});
    },
  },
  'and not ended': {
    run(res, watched) {
      const stream = watched(fs.createReadStream(small));
      stream.pipe(res, { end: false });
      stream.on('end', () => res.end('last'));
    },
  },
  'two after one another': {
    taken: 2,
    // The first one's close and the second one's open are two threads' work.
    together: false,
    run(res, watched) {
      const first = watched(fs.createReadStream(small), 'first');
      first.pipe(res, { end: false });
      first.on('end', () => watched(fs.createReadStream(large), 'second').pipe(res));
    },
  },
  'behind a write': {
    run(res, watched) {
      res.write('before');
      watched(fs.createReadStream(large)).pipe(res);
    },
  },
  'after some of it was read': {
    taken: EITHER,
    async run(res, watched) {
      const stream = watched(fs.createReadStream(large));
      await new Promise((resolve) => stream.once('readable', resolve));
      res.write(stream.read(1000));
      stream.pipe(res);
    },
  },
  'unshifted, after some of it was read': {
    taken: EITHER,
    async run(res, watched) {
      const stream = watched(fs.createReadStream(large));
      await new Promise((resolve) => stream.once('readable', resolve));
      stream.unshift(stream.read(1000));
      stream.pipe(res);
    },
  },
  'once it is open': {
    run(res, watched) {
      const stream = watched(fs.createReadStream(large));
      stream.on('open', () => stream.pipe(res));
    },
  },
  'while it is paused, and resumed later': {
    taken: EITHER,
    run(res, watched) {
      const stream = watched(fs.createReadStream(large));
      stream.pipe(res);
      stream.pause();
      setTimeout(() => stream.resume(), 20);
    },
  },
  'to a corked response': {
    run(res, watched) {
      res.cork();
      watched(fs.createReadStream(small)).pipe(res);
      setTimeout(() => res.uncork(), 20);
    },
  },
  'less than was promised': {
    run(res, watched) {
      res.setHeader('Content-Length', sizeOf(small) + 1);
      res.setHeader('Connection', 'close');
      watched(fs.createReadStream(small)).pipe(res);
    },
  },
  'a file that is not there': {
    taken: 0,
    run(res, watched) {
      const stream = watched(fs.createReadStream(tmpPath('missing')));
      stream.on('error', () => res.writeHead(404).end('none'));
      stream.pipe(res);
    },
  },
  'a directory': {
    taken: 0,
    run(res, watched) {
      const stream = watched(fs.createReadStream(__dirname));
      stream.on('error', () => res.writeHead(500).end('a directory'));
      stream.pipe(res);
    },
  },
  'an empty file': {
    taken: 0,
    run: (res, watched) => watched(fs.createReadStream(tmpFile('', 'empty'))).pipe(res),
  },
  'without a close event': {
    run: (res, watched) => watched(fs.createReadStream(small, { emitClose: false })).pipe(res),
  },
  'in answer to HEAD': {
    taken: 0,
    options: { method: 'HEAD' },
    run: (res, watched) => watched(fs.createReadStream(small)).pipe(res),
  },
  'with strictContentLength': {
    run(res, watched) {
      res.strictContentLength = true;
      res.setHeader('Content-Length', sizeOf(large));
      watched(fs.createReadStream(large)).pipe(res);
    },
  },
};

/** The events in their order, or each emitter's own. */
const inOrder = (seen, together) =>
  together ? seen : [...seen].sort((a, b) => a.split(' ')[0].localeCompare(b.split(' ')[0]));

describe('a file piped into a response', () => {
  test.each(Object.entries(pipes))('%s', async (_, { run, options, taken = 1, together = true }) => {
    const plain = await exchange(run, options);
    const { result, counts } = await hooked(() => exchange(run, options));
    expect(inOrder(result.seen, together)).toEqual(inOrder(plain.seen, together));
    expect(result.state).toEqual(plain.state);
    const { body, ...head } = plain.response;
    const { body: sent, ...sentHead } = result.response;
    expect(sentHead).toEqual(head);
    expect(sent.equals(body)).toBe(true);
    const times = taken === EITHER ? counts.taken : taken;
    expect(counts).toMatchObject({ taken: times, completed: times, failed: 0 });
  });
});

describe('a file that was piped halfway', () => {
  /** Pipes, waits until some of it is out, then does as it is told. */
  const halfway = (then) => (res, watched, req, note) => {
    const stream = watched(fs.createReadStream(large));
    stream.pipe(res);
    const look = () => {
      if (stream.bytesRead > 0) then(stream, res, note, req);
      else setImmediate(look);
    };
    look();
  };

  const meanwhile = {
    'unpiped, and piped again': (stream, res) => {
      stream.unpipe(res);
      setTimeout(() => stream.pipe(res), 10);
    },
    'paused and resumed': (stream) => {
      stream.pause();
      setTimeout(() => stream.resume(), 10);
    },
    'unpiped, and the rest by hand': (stream, res) => {
      stream.unpipe(res);
      stream.on('data', (chunk) => res.write(chunk));
      stream.on('end', () => res.end());
      stream.resume();
    },
    'and the rest through another stream': (stream, res) => {
      stream.unpipe(res);
      stream.pipe(new PassThrough()).pipe(res);
    },
    'with a listener of its data from then on': (stream, _, note) => {
      let bytes = 0;
      stream.on('data', (chunk) => {
        bytes += chunk.length;
      });
      stream.on('end', () => note(bytes > 0 && bytes < sizeOf(large) ? 'heard the rest' : `heard ${bytes}`));
    },
  };

  test.each(Object.entries(meanwhile))('%s: every byte comes once', async (_, then) => {
    const run = halfway(then);
    const plain = await exchange(run);
    const { result, counts } = await hooked(() => exchange(run));
    const count = (seen) => [...seen].sort();
    expect(count(result.seen)).toEqual(count(plain.seen));
    expect(result.state).toEqual(plain.state);
    expect(result.response.body.equals(fs.readFileSync(large))).toBe(true);
    expect(counts.taken).toBe(1);
  });

  test('destroyed: what was queued comes, and the response is its owner’s to end', async () => {
    const run = halfway((stream, res) => {
      stream.destroy();
      stream.on('close', () => res.end());
    });
    const { result, counts } = await hooked(() => exchange(run));
    expect(result.response.whole).toBe(true);
    const { body } = result.response;
    expect(body.length).toBeGreaterThan(0);
    expect(body.equals(fs.readFileSync(large).subarray(0, body.length))).toBe(true);
    expect(counts).toMatchObject({ taken: 1, completed: 0, failed: 1, bytes: body.length });
  });
});
