'use strict';

/**
 * A server that was handed a Duplex for a connection, as tunnels do it: nothing counts there what others write. A body of
 * transfers alone keeps its promise and its connection; of what is mixed nobody can tell, and the connection ends.
 */

const fs = require('node:fs');
const http = require('node:http');
const { Duplex } = require('node:stream');
const { transfer } = require('..');
const { pattern, tmpFile } = require('./helpers');
const { HttpClient, expectBodies } = require('./http-client');
const { failure } = require('./streams');

const bytes = pattern(20_011, 17);
const file = tmpFile(bytes);

/** Two ends of a connection that is no socket. */
function duplexes() {
  const make = () => {
    const end = new Duplex({
      allowHalfOpen: false,
      read() {
        end.onRead?.();
        end.onRead = undefined;
      },
      write(chunk, _encoding, done) {
        if (end.other.push(chunk)) done();
        else end.other.onRead = done;
      },
      final(done) {
        end.other.push(null);
        done();
      },
      destroy(error, done) {
        if (!end.other.readableEnded) end.other.push(null);
        done(error);
      },
    });
    return Object.assign(end, { setTimeout: () => end, ref: () => end, unref: () => end });
  };
  const [near, far] = [make(), make()];
  near.other = far;
  far.other = near;
  return { near, far };
}

/** A client of this handler. */
function clientOf(handler) {
  const server = http.createServer(handler);
  const { near, far } = duplexes();
  server.emit('connection', near);
  return new HttpClient(far);
}

test('a transfer that is the whole body: the connection goes on', async () => {
  const client = clientOf(async (_req, res) => {
    await transfer(res, file);
    res.end();
  });
  await expectBodies(client, 3, bytes);
  client.destroy();
});

test('two that are the whole body: the connection goes on', async () => {
  const client = clientOf(async (_req, res) => {
    res.setHeader('Content-Length', 2 * bytes.length);
    await transfer(res, file);
    await transfer(res, file);
    res.end();
  });
  await expectBodies(client, 2, Buffer.concat([bytes, bytes]));
  client.destroy();
});

test('one that would exceed the promise is refused before a byte of it leaves', async () => {
  let error;
  const client = clientOf(async (_req, res) => {
    res.setHeader('Content-Length', 30_000);
    await transfer(res, file);
    error = await failure(transfer(res, file));
    res.destroy();
  });
  client.send('/');
  const rest = await client.rest();
  expect(error).toMatchObject({ code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH', bytesSent: 0 });
  expect(rest.subarray(rest.indexOf('\r\n\r\n') + 4).equals(bytes)).toBe(true);
});

test('one that failed, and another body in its place: the connection ends', async () => {
  const client = clientOf(async (_req, res) => {
    res.setHeader('Content-Length', bytes.length);
    const control = new AbortController();
    const fd = fs.openSync(file);
    const sending = failure(transfer(res, fd, { signal: control.signal }));
    // It has begun, and has given nothing to the response yet.
    control.abort();
    fs.closeSync(fd);
    expect(await sending).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
    res.statusCode = 500;
    res.end('an error page');
  });
  client.send('/1');
  client.send('/2');
  const rest = await client.rest();
  expect(rest.toString('latin1').match(/HTTP\/1\.1|an error page$/g)).toEqual(['HTTP/1.1', 'an error page']);
});
