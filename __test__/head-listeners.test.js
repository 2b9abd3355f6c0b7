'use strict';

/**
 * A response's head is made when its first transfer begins, and whoever hears of that (`on-headers`, a wrapped
 * `writeHead`) may change what it says, or throw. What is sent keeps what the head says in the end.
 */

const diagnostics = require('node:diagnostics_channel');
const fs = require('node:fs');
const http = require('node:http');
const onHeaders = require('on-headers');
const { transfer } = require('..');
const { pattern, tmpFile, until } = require('./helpers');
const { connect, exchange, httpServer } = require('./http-client');
const { methods } = require('./ways');

const bytes = pattern(10_000, 7);
const file = tmpFile(bytes);
const huge = tmpFile(pattern(1_500_000, 7));

/** A failed transfer, answered as handlers do: with an error page, if that is still possible. */
async function withErrorPage(res, path, options) {
  try {
    return await transfer(res, path, options);
  } catch (error) {
    if (res.headersSent) {
      res.destroy();
    } else {
      res.statusCode = 500;
      res.statusMessage = 'Failed';
      res.end('an error page');
    }
    return error;
  }
}

describe.each([
  ['goes out at once', file],
  ['goes through the queue', huge],
])('a file that %s', (_how, path) => {
  describe.each(methods('auto', 'copy'))('by %s', (method) => {
    test.each([
      [
        'a status message with a line end',
        'ERR_INVALID_CHAR',
        (res) => {
          res.statusMessage = 'a\nb';
        },
      ],
      [
        'a status of 99',
        'ERR_HTTP_INVALID_STATUS_CODE',
        (res) => {
          res.statusCode = 99;
        },
      ],
      [
        'a listener that throws',
        'THROWN',
        (res) =>
          onHeaders(res, () => {
            if (res.statusCode === 200) throw Object.assign(new Error('no'), { code: 'THROWN' });
          }),
      ],
    ])(
      'a head that cannot be made, by %s: the error page is whole, and the connection goes on',
      async (_why, code, prepare) => {
        const { response, after, result } = await exchange((res) => {
          prepare(res);
          return withErrorPage(res, path, { method });
        });
        expect([result.code, result.bytesSent]).toEqual([code, 0]);
        expect([response.status, response.body.toString()]).toEqual([500, 'an error page']);
        // As Node frames a page whose owner has set no length.
        expect(response.headers['content-length']).toBe('13');
        expect(after.toString('latin1')).toContain('the next');
      },
    );

    test('a length that is made smaller is kept: nothing of the file is sent', async () => {
      const { response, after, result } = await exchange((res) => {
        onHeaders(res, () => res.setHeader('Content-Length', 500));
        return withErrorPage(res, path, { method });
      });
      expect([result.code, result.bytesSent]).toEqual(['ERR_HTTP_CONTENT_LENGTH_MISMATCH', 0]);
      expect(response?.body.length ?? 0).toBe(0);
      expect(after.toString('latin1')).toBe('');
    });

    test('a length that is made larger is not met: the connection ends', async () => {
      const { after, result } = await exchange(async (res) => {
        onHeaders(res, () => res.setHeader('Content-Length', 2_000_000));
        const sent = await transfer(res, path, { method });
        res.end();
        return sent;
      });
      expect(result).toBe(fs.statSync(path).size);
      expect(after.toString('latin1')).not.toContain('the next');
    });

    test('a length that is taken away: the body comes in chunks, whole', async () => {
      const { response, after } = await exchange(async (res) => {
        onHeaders(res, () => {
          res.removeHeader('Content-Length');
          res.setHeader('Transfer-Encoding', 'chunked');
        });
        const sent = await transfer(res, path, { method });
        res.end();
        return sent;
      });
      expect(response.headers['transfer-encoding']).toBe('chunked');
      expect(response.body.equals(fs.readFileSync(path))).toBe(true);
      expect(after.toString('latin1')).toContain('the next');
    });
  });
});

/** Node's 'drain' and 'finish', of what is written and of what is sent. */
async function drains(serve) {
  const seen = { written: [], sent: [] };
  for (const way of ['written', 'sent']) {
    const note = (what) => void seen[way].push(what);
    // A few bytes less than would do it without the head.
    const give = async (res) => {
      const size = res.socket.writableHighWaterMark - 30;
      const body = pattern(size, 3);
      res.on('finish', () => note('finish'));
      res.setHeader('Content-Length', size);
      if (way === 'sent') await transfer(res, tmpFile(body));
      else await new Promise((resolve) => res.write(body, resolve));
      res.end();
    };
    const client = await serve(give, note);
    await client.rest();
    await until(() => seen[way].includes('finish'), 'finish');
  }
  return seen;
}

describe("'drain' is told as after a write, if a small file fills the queue", () => {
  test('with its head', async () => {
    const seen = await drains(async (give, note) => {
      const { port } = await httpServer((_req, res) => {
        res.on('drain', () => note('drain'));
        give(res);
      });
      const client = connect(port);
      client.send('/', 'GET', ['Connection: close']);
      return client;
    });
    expect(seen.written).toContain('drain');
    expect(seen.sent).toEqual(seen.written);
  });

  test('of an upgraded socket, from which Node has taken its own listener', async () => {
    const seen = await drains(async (give, note) => {
      const { server, port } = await httpServer(() => {});
      server.on('upgrade', (req, socket) => {
        const res = new http.ServerResponse(req);
        res.assignSocket(socket);
        res.on('finish', () => socket.end());
        socket.on('drain', () => note('drain'));
        give(res);
      });
      const client = connect(port);
      client.send('/', 'GET', ['Connection: upgrade', 'Upgrade: other']);
      return client;
    });
    expect(seen.written).toContain('drain');
    expect(seen.sent).toEqual(seen.written);
  });
});

test('a response whose socket was ended before sends nothing', async () => {
  const { response, after, result } = await exchange((res) => {
    res.socket.end();
    return withErrorPage(res, file);
  });
  expect(result.bytesSent).toBe(0);
  expect([response?.body.length ?? 0, after.length]).toEqual([0, 0]);
});

test('whoever is told of a call may abort it', async () => {
  const control = new AbortController();
  const start = 'tracing:rs-sendfile:transfer:start';
  const abort = () => control.abort();
  diagnostics.subscribe(start, abort);
  try {
    const { response, result } = await exchange((res) =>
      withErrorPage(res, file, { signal: control.signal }),
    );
    expect([result.code, result.bytesSent]).toEqual(['ABORT_ERR', 0]);
    expect(response.body.toString()).toBe('an error page');
  } finally {
    diagnostics.unsubscribe(start, abort);
  }
});

test('progress is told once the call has given its promise', async () => {
  let promise;
  const heard = [];
  await exchange((res) => {
    const fd = fs.openSync(file);
    promise = transfer(res, fd, { onProgress: (sent) => heard.push([sent, promise !== undefined]) });
    fs.closeSync(fd);
    return promise.finally(() => res.end());
  });
  expect(heard).toEqual([[bytes.length, true]]);
});
