'use strict';

/**
 * What `rs-sendfile/register` leaves to Node, before the first byte, and the reason that it gives. The client gets what
 * it would get without it.
 */

const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const path = require('node:path');
const { PassThrough, Readable } = require('node:stream');
const { once } = require('node:events');
const compression = require('compression');
const { gunzipSync } = require('node:zlib');
const { listen, pattern, readAll, runInChild, tmpFile } = require('./helpers');
const { exchange, hooked } = require('./piped');

const bytes = pattern(300_000, 5);
const file = tmpFile(bytes);
const invert = (chunk) => Buffer.from(chunk.map((byte) => byte ^ 255));
const inverted = invert(bytes);

/** All of it comes, and it was left for this reason alone. */
async function expectLeft(reason, answer, { options, body = bytes } = {}) {
  const { result, counts } = await hooked(() => exchange(answer, options));
  expect(counts).toEqual({ taken: 0, completed: 0, failed: 0, bytes: 0, left: { [reason]: 1 } });
  if (body) expect(result.response.body.equals(body)).toBe(true);
  return result;
}

describe('somebody else wants the bytes', () => {
  test('a listener of its data', async () => {
    const heard = [];
    await expectLeft('data listener', (res, watched) => {
      const stream = watched(fs.createReadStream(file));
      stream.pipe(res);
      stream.on('data', (chunk) => heard.push(chunk));
    });
    expect(Buffer.concat(heard).equals(bytes)).toBe(true);
  });

  test('a listener of its data that was there before the pipe', async () => {
    const heard = [];
    await expectLeft('data listener', (res, watched) => {
      const stream = watched(fs.createReadStream(file));
      stream.on('data', (chunk) => heard.push(chunk));
      stream.pipe(res);
    });
    expect(Buffer.concat(heard).equals(bytes)).toBe(true);
  });

  test('a listener in the place of the pipe’s own', async () => {
    const heard = [];
    await expectLeft('data listener', (res, watched) => {
      const stream = watched(fs.createReadStream(file));
      stream.pipe(res);
      stream.removeAllListeners('data');
      stream.on('data', (chunk) => {
        heard.push(chunk);
        res.write(chunk);
      });
    });
    expect(Buffer.concat(heard).equals(bytes)).toBe(true);
  });

  test('a second destination', async () => {
    const second = new PassThrough();
    const copy = readAll(second);
    await expectLeft('second destination', (res, watched) => {
      const stream = watched(fs.createReadStream(file));
      stream.pipe(res);
      stream.pipe(second);
    });
    expect((await copy).equals(bytes)).toBe(true);
  });

  test('two responses', async () => {
    const { counts, result } = await hooked(() =>
      exchange((res, watched) => {
        const other = new http.ServerResponse({ method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 });
        const stream = watched(fs.createReadStream(file));
        stream.pipe(res);
        stream.pipe(other);
        // It has no connection, so it never drains: only the first is of interest.
        setTimeout(() => stream.unpipe(other), 20);
      }),
    );
    expect(result.response.body.equals(bytes)).toBe(true);
    expect(counts.taken).toBe(0);
  });

  test('an encoding', async () => {
    const text = 'Grüße, 世界! '.repeat(20_000);
    await expectLeft(
      'encoding',
      (res, watched) => watched(fs.createReadStream(tmpFile(text), 'utf8')).pipe(res),
      { body: Buffer.from(text) },
    );
  });

  test('a listener of ‘readable’', async () => {
    const { counts } = await hooked(() =>
      exchange((res, watched) => {
        const stream = watched(fs.createReadStream(file));
        stream.on('readable', () => {
          for (let chunk = stream.read(); chunk !== null; chunk = stream.read());
        });
        stream.pipe(res);
      }),
    );
    expect(counts).toMatchObject({ taken: 0, left: { 'readable listener': 1 } });
  });
});

describe('a stream that is not Node’s own', () => {
  /** The numbers that such a file system gives are descriptors of ours: of a file that nobody may see. */
  const decoy = fs.openSync(tmpFile('this is nobody’s business '.repeat(20_000)));
  afterAll(() => fs.closeSync(decoy));

  const inMemory = {
    open: (_path, _flags, _mode, done) => setImmediate(done, null, decoy),
    close: (_fd, done) => setImmediate(done, null),
    read(_fd, buffer, offset, length, position, done) {
      const at = position ?? this.at ?? 0;
      const count = bytes.copy(buffer, offset, at, at + length);
      this.at = at + count;
      setImmediate(done, null, count, buffer);
    },
  };

  test.each([
    ['from its beginning', {}, bytes],
    ['a range of it', { start: 100, end: 200_099 }, bytes.subarray(100, 200_100)],
  ])('a file system of its own, %s: its numbers are no descriptors of ours', async (_, range, body) => {
    await expectLeft(
      'custom fs',
      (res, watched) => {
        watched(fs.createReadStream('/virtual', { ...range, fs: { ...inMemory } })).pipe(res);
      },
      { body },
    );
  });

  test.each(['read', 'open'])('fs.%s replaced, for files that the kernel does not know', async (name) => {
    const real = fs[name];
    fs[name] = (...args) => real.apply(fs, args);
    try {
      await expectLeft('patched fs', (res, watched) => {
        watched(fs.createReadStream(file)).pipe(res);
      });
    } finally {
      fs[name] = real;
    }
  });

  test('a FileHandle that reads in a way of its own', async () => {
    const handle = await fs.promises.open(file);
    const { read } = handle;
    handle.read = async (...args) => {
      const answer = await read.apply(handle, args);
      for (let i = 0; i < answer.bytesRead; i++) answer.buffer[i] ^= 255;
      return answer;
    };
    const invertedOnce = (res, watched) => watched(handle.createReadStream()).pipe(res);
    await expectLeft('custom fs', invertedOnce, { body: inverted });
  });

  class Pushing extends fs.ReadStream {
    push(chunk, encoding) {
      return super.push(chunk && invert(chunk), encoding);
    }
  }
  class Reading extends fs.ReadStream {
    _read(size) {
      this.reads = (this.reads ?? 0) + 1;
      super._read(size);
    }
  }
  const overriding = {
    'push, in its class': [() => new Pushing(file), inverted],
    '_read, in its class': [() => new Reading(file), bytes],
    '_read, by hand'() {
      const stream = fs.createReadStream(file);
      const { _read } = stream;
      stream._read = function (size) {
        _read.call(this, size);
      };
      return stream;
    },
    'emit, by hand'() {
      const stream = fs.createReadStream(file);
      stream.emit = function (event, ...args) {
        return Readable.prototype.emit.call(this, event, ...args);
      };
      return stream;
    },
    'read, by hand'() {
      const stream = fs.createReadStream(file);
      stream.read = function (size) {
        return Readable.prototype.read.call(this, size);
      };
      return stream;
    },
  };

  test.each(Object.entries(overriding))('%s', async (_, given) => {
    const [make, body] = Array.isArray(given) ? given : [given, bytes];
    await expectLeft('overridden', (res, watched) => watched(make()).pipe(res), { body });
  });

  test('open, as programs did it before Node had `fs` as an option', async () => {
    // Node says that this is deprecated: in a process of its own.
    const { stdout, stderr } = await runInChild(`
      const fs = require('node:fs'), http = require('node:http');
      const register = require('./register');
      class Opening extends fs.ReadStream {
        open() {
          fs.open(${JSON.stringify(file)}, 'r', (error, fd) => {
            this.fd = fd;
            this.emit('open', fd);
          });
        }
      }
      const server = http.createServer((req, res) => new Opening('/elsewhere').pipe(res));
      server.listen(0, '127.0.0.1', () => {
        http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, (res) => {
          let bytes = 0;
          res.on('data', (chunk) => (bytes += chunk.length));
          res.on('end', () => {
            console.log(bytes, JSON.stringify(register.stats()));
            server.close();
          });
        });
      });
    `);
    expect({ stdout, stderr: stderr.replace(/.*Deprecat.*\n|.*trace-deprecation.*\n/g, '') }).toEqual({
      stdout: `${bytes.length} {"taken":0,"completed":0,"failed":0,"bytes":0,"left":{"overridden":1}}\n`,
      stderr: '',
    });
  });
});

describe('a response that the kernel cannot send to', () => {
  test('write replaced by somebody who counts', async () => {
    let counted = 0;
    await expectLeft('patched', (res, watched) => {
      const { write } = res;
      res.write = function (chunk, ...rest) {
        counted += chunk.length;
        return write.call(this, chunk, ...rest);
      };
      watched(fs.createReadStream(file)).pipe(res);
    });
    expect(counted).toBe(bytes.length);
  });

  test('write replaced after the pipe, before the first byte', async () => {
    await expectLeft(
      'patched',
      (res, watched) => {
        watched(fs.createReadStream(file)).pipe(res);
        const { write } = res;
        res.write = function (chunk, ...rest) {
          return write.call(this, invert(chunk), ...rest);
        };
      },
      { body: inverted },
    );
  });

  test('compression', async () => {
    const compress = compression({ threshold: 0 });
    const { response } = await expectLeft(
      'patched',
      (res, watched, req) => {
        res.setHeader('Content-Type', 'text/plain');
        compress(req, res, () => watched(fs.createReadStream(file)).pipe(res));
      },
      { options: { request: ['Accept-Encoding: gzip'] }, body: null },
    );
    expect(gunzipSync(response.body).equals(bytes)).toBe(true);
  });

  test('HEAD has no body', async () => {
    await expectLeft('no body', (res, watched) => watched(fs.createReadStream(file)).pipe(res), {
      options: { method: 'HEAD' },
      body: Buffer.alloc(0),
    });
  });

  test.each([204, 304])('nor has %s', async (status) => {
    await expectLeft(
      'no body',
      (res, watched) => {
        res.statusCode = status;
        watched(fs.createReadStream(file)).pipe(res);
      },
      { body: Buffer.alloc(0) },
    );
  });

  test('trailers', async () => {
    const { response } = await expectLeft('trailers', (res, watched) => {
      res.setHeader('Trailer', 'X-Sum');
      res.addTrailers({ 'X-Sum': 'right' });
      watched(fs.createReadStream(file)).pipe(res);
    });
    expect(response.trailers).toBeTruthy();
  });

  test('one that has ended', async () => {
    await expectLeft(
      'ended',
      (res, watched) => {
        res.on('error', () => {});
        res.end('it has ended');
        const stream = watched(fs.createReadStream(file));
        stream.pipe(res);
        res.on('close', () => stream.destroy());
      },
      { body: Buffer.from('it has ended') },
    );
  });

  test('an empty file', async () => {
    const empty = tmpFile('', 'empty');
    await expectLeft('empty', (res, watched) => watched(fs.createReadStream(empty)).pipe(res), {
      body: Buffer.alloc(0),
    });
  });

  test('a file without a size', async () => {
    const stat = '/proc/self/status';
    const { counts, result } = await hooked(() =>
      exchange((res, watched) => watched(fs.createReadStream(stat)).pipe(res)),
    );
    expect(counts).toMatchObject({ taken: 0, left: { unsized: 1 } });
    expect(result.response.body.toString()).toMatch(/^Name:/);
  });

  test('an error of the file is Node’s to tell', async () => {
    const { counts, result } = await hooked(() =>
      exchange((res, watched) => {
        const stream = watched(fs.createReadStream(__dirname));
        stream.on('error', (error) => res.writeHead(500).end(error.code));
        stream.pipe(res);
      }),
    );
    expect(counts).toMatchObject({ taken: 0, left: { EISDIR: 1 } });
    expect(result.response.body.toString()).toBe('EISDIR');
  });

  const pem = fs.readFileSync(path.join(__dirname, 'fixtures', 'localhost.pem'));

  test('TLS', async () => {
    const server = https.createServer({ key: pem, cert: pem }, (_, res) => {
      fs.createReadStream(file).pipe(res);
    });
    const port = await listen(server);
    const { counts, result } = await hooked(async () => {
      const options = { host: '127.0.0.1', port, agent: false, rejectUnauthorized: false };
      const [res] = await once(https.get(options), 'response');
      return readAll(res);
    });
    server.close();
    expect(result.equals(bytes)).toBe(true);
    expect(counts).toMatchObject({ taken: 0, left: { TLS: 1 } });
  });

  test('HTTP/2', async () => {
    const server = http2.createServer((_, res) => {
      fs.createReadStream(file).pipe(res);
    });
    const port = await listen(server);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const { counts, result } = await hooked(() => readAll(session.request()));
    session.close();
    server.close();
    await once(server, 'close');
    expect(result.equals(bytes)).toBe(true);
    expect(counts).toMatchObject({ taken: 0, left: { 'HTTP/2': 1 } });
  });
});

test('what is not piped into a response is not counted', async () => {
  const { counts, result } = await hooked(async () => {
    const through = new PassThrough();
    fs.createReadStream(file).pipe(through);
    return [await readAll(through), await readAll(fs.createReadStream(file))];
  });
  for (const each of result) expect(each.equals(bytes)).toBe(true);
  expect(counts).toEqual({ taken: 0, completed: 0, failed: 0, bytes: 0, left: {} });
});

test('more bytes than were promised are Node’s to refuse', async () => {
  // Node throws: in a process of its own. Its client takes whatever comes.
  const program = (hook) => `
    ${hook}
    const fs = require('node:fs'), http = require('node:http'), net = require('node:net');
    process.on('uncaughtException', (error) => (console.log('uncaught', error.code), process.exit()));
    const server = http.createServer((req, res) => {
      res.strictContentLength = true;
      res.setHeader('Content-Length', 10);
      for (const event of ['error', 'close']) res.on(event, (error) => console.log(event, error?.code));
      fs.createReadStream(${JSON.stringify(file)}).pipe(res);
      server.close();
    });
    server.listen(0, '127.0.0.1', () => {
      const client = net.connect(server.address().port, '127.0.0.1');
      let bytes = 0;
      client.on('data', (chunk) => (bytes += chunk.length));
      client.on('end', () => (console.log('the client got', bytes), process.exit()));
      client.on('error', () => process.exit());
      client.write('GET / HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n');
    });
  `;
  const plain = await runInChild(program(''));
  const ours = await runInChild(program("require('./register');"));
  expect(plain.stdout).toMatch(/uncaught ERR_HTTP_CONTENT_LENGTH_MISMATCH|the client got \d+/);
  expect(ours).toEqual(plain);
});
