'use strict';

/**
 * A static file server on 127.0.0.1: `npm start -- [dir] [--port N]`, or `node examples/http.js [dir] [--port N]`. Its
 * transfers are shown at /__sendfile.
 */

const http = require('node:http');
const { lookup } = require('mrmime');
const parseRange = require('range-parser');
const { sendfile } = require('..');
const { logRequest } = require('./lib/log');
const { readOptions } = require('./lib/options');
const { HttpError, findResource, listing, statusOf } = require('./lib/resource');
const { followTransfers } = require('./lib/status-feed');
const { statusPage } = require('./lib/status-page');

const { root, port } = readOptions(process.argv.slice(2));

const transfers = followTransfers();
const page = statusPage(transfers.store);

const server = http.createServer(async (req, res) => {
  if (page.answer(req, res)) return;
  const started = performance.now();
  try {
    logRequest(req, res, { bytes: await answer(req, res), started });
  } catch (error) {
    // A client that leaves, a file that is gone: each rejection ends here, or it would end the server.
    const bytes = fail(req, res, error) ?? error.bytesSent ?? 0;
    logRequest(req, res, { bytes, started, error: error instanceof HttpError ? undefined : error });
  }
});

/** @returns {Promise<number>} the bytes of body sent */
async function answer(req, res) {
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new HttpError(405, { Allow: 'GET, HEAD' });
  const { file, stat } = await findResource(root, req.url);
  if (stat.isDirectory()) return sendText(req, res, 200, 'text/html', await listing(file, file === root));

  const modified = new Date(stat.mtime).setMilliseconds(0);
  res.setHeader('Last-Modified', new Date(modified).toUTCString());
  if (Date.parse(req.headers['if-modified-since']) >= modified) {
    res.writeHead(304).end();
    return 0;
  }
  const type = lookup(file) ?? 'application/octet-stream';
  res.setHeader('Content-Type', type.startsWith('text/') ? `${type}; charset=utf-8` : type);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Accept-Ranges', 'bytes');

  const range = requestedRange(req, res, stat.size);
  let sent;
  if (range) {
    const { start, end } = range; // end: the last byte, not the one after it
    res.statusCode = 206;
    res.setHeader('Content-Range', `bytes ${start}-${end}/${stat.size}`);
    const length = end - start + 1;
    sent = await sendfile(res, file, start, length, { onProgress: transfers.follow(res, length) });
  } else {
    const onProgress = transfers.follow(res, stat.size);
    sent = await sendfile(res, file, { onProgress }); // sets Content-Length; a HEAD request gets no more than that
  }
  res.end();
  return sent;
}

/** The one range asked for, or null for the whole file, which may also answer several ranges or a malformed one. */
function requestedRange(req, res, size) {
  const { range, 'if-range': condition } = req.headers;
  // A part of what has changed since would not fit the rest the client holds.
  if (req.method !== 'GET' || range === undefined) return null;
  if (condition && condition !== res.getHeader('Last-Modified')) return null;
  const ranges = parseRange(size, range);
  if (ranges === -1) throw new HttpError(416, { 'Content-Range': `bytes */${size}` });
  return ranges !== -2 && ranges.type === 'bytes' && ranges.length === 1 ? ranges[0] : null;
}

/** @returns {number | undefined} the bytes of the answer; none if it is too late for one */
function fail(req, res, error) {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return;
  }
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  for (const [name, value] of Object.entries(error.headers ?? {})) res.setHeader(name, value);
  const status = statusOf(error);
  return sendText(req, res, status, 'text/plain', `${status} ${http.STATUS_CODES[status]}\n`);
}

function sendText(req, res, status, type, text) {
  const body = Buffer.from(text);
  res
    .writeHead(status, { 'Content-Type': `${type}; charset=utf-8`, 'Content-Length': body.length })
    .end(body);
  return req.method === 'HEAD' ? 0 : body.length;
}

server.on('error', (err) => {
  const why =
    { EADDRINUSE: 'is in use', EACCES: 'needs more rights' }[err.code] ?? `cannot be used: ${err.message}`;
  console.error(`Port ${port} ${why}; choose another one with --port N.`);
  process.exit(1);
});

server.listen(port, '127.0.0.1', () => {
  console.log(`serving ${root} on http://127.0.0.1:${server.address().port}/ (Ctrl-C stops it)`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
    // The transfers under way now reject, and print their line; nothing should then keep the process, but a file
    // system that hangs could.
    setTimeout(() => process.exit(0), 1000).unref();
  });
}

module.exports = { server, page };
