'use strict';

/**
 * Streams of every kind, most of which the kernel's way is closed to: each opens as `{ near, far }`, what is written to
 * and what reads it.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const http2 = require('node:http2');
const https = require('node:https');
const path = require('node:path');
const { PassThrough, Writable } = require('node:stream');
const tls = require('node:tls');
const zlib = require('node:zlib');
const { listen } = require('./helpers');
const { keep, pair } = require('./streams');

/** A key and a certificate of localhost for tests, until 2126. */
const pem = fs.readFileSync(path.join(__dirname, 'fixtures', 'localhost.pem'));

/** A pair of TLS sockets; the far one reads nothing yet. */
async function tlsPair() {
  const server = keep(tls.createServer({ key: pem, cert: pem }));
  const port = await listen(server);
  const far = keep(tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }));
  far.on('error', () => {});
  far.pause();
  const [[near]] = await Promise.all([once(server, 'secureConnection'), once(far, 'secureConnect')]);
  return { near: keep(near), far };
}

/** A server of HTTP/2 and one request to it. `near` is the compatibility layer's response, or the stream. */
async function http2Pair(compat, isFresh = false, settings = {}) {
  const server = keep(http2.createServer());
  const port = await listen(server);
  const client = keep(http2.connect(`http://127.0.0.1:${port}`, { settings }));
  client.on('error', () => {});
  const arrived = once(server, compat ? 'request' : 'stream');
  const far = client.request({ ':path': '/' });
  far.on('error', () => {});
  far.pause();
  const given = await arrived;
  const near = compat ? given[1] : given[0];
  near.on('error', () => {});
  // With the head out no length is promised, and a body may have several parts.
  if (!compat) near.respond({ ':status': 200 });
  else if (!isFresh) near.writeHead(200);
  return { near, far };
}

/** A stream whose own write takes each chunk only when its reader has room. */
function writable(highWaterMark) {
  const far = new PassThrough({ highWaterMark });
  const near = new Writable({
    highWaterMark,
    write: (chunk, _encoding, done) => void far.write(chunk, done),
    final: (done) => void far.end(done),
    destroy: (error, done) => {
      if (!near.writableFinished) far.destroy();
      done(error);
    },
  });
  return { near, far };
}

/** A socket whose write somebody has patched. */
async function patchedPair() {
  const sockets = await pair({ unix: true });
  const { write } = sockets.near;
  sockets.near.write = function patched(...given) {
    return write.apply(this, given);
  };
  return sockets;
}

function passThrough() {
  const near = new PassThrough();
  return { near, far: near };
}

/** A response over TLS, of no known length, and what its client reads. */
async function httpsPair() {
  const server = keep(https.createServer({ key: pem, cert: pem }));
  const port = await listen(server);
  const req = https.get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false });
  req.on('error', () => {});
  const [, near] = await once(server, 'request');
  near.flushHeaders();
  const [far] = await once(req, 'response');
  far.on('error', () => {});
  far.pause();
  return { near: keep(near), far: keep(far) };
}

/** What is packed, and what unpacks it. */
function gzip() {
  const near = zlib.createGzip({ level: 0 });
  near.on('error', () => {});
  const far = near.pipe(zlib.createGunzip());
  far.on('error', () => {});
  return { near: keep(near), far: keep(far) };
}

/** Windows of HTTP/2 that hold less than one chunk. */
const narrow = { initialWindowSize: 4096 };

/** Every kind of stream that a transfer may go to, by its name. */
const kinds = {
  'a socket': () => pair({ unix: true }),
  'a TLS socket': tlsPair,
  'an HTTPS response': httpsPair,
  'an HTTP/2 stream': () => http2Pair(false),
  'an HTTP/2 stream with a narrow window': () => http2Pair(false, false, narrow),
  "HTTP/2's compatibility layer with a narrow window": () => http2Pair(true, false, narrow),
  'a PassThrough': passThrough,
  'a Writable of 16 bytes': () => writable(16),
  gzip: gzip,
  'a socket with a patched write': patchedPair,
};

module.exports = { kinds, pem, tlsPair, http2Pair, httpsPair, writable, patchedPair, passThrough, gzip };
