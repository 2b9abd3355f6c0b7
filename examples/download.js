'use strict';

/**
 * A download that can be resumed: a server, and the client of download-client.js, which is cut off half-way, goes on,
 * and checks what it has got. `npm run example -- download [dir] [--port N]`: the largest file of `dir`; if it has none
 * of 16 MiB, one made for this.
 */

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { lookup } = require('mrmime');
const { transfer } = require('..');
const { download } = require('./download-client');
const { sha256Of } = require('./lib/digest');
const { readOptions } = require('./lib/options');
const { mebi } = require('./lib/progress');
const { selectRange } = require('./lib/range');
const { HttpError, decode, findFile, statusOf } = require('./lib/resource');
const { announce, closeServer, encode, endOnSignal, listen } = require('./lib/serve');
const { standIn, temporary } = require('./lib/stand-in');

const STAND_IN = 48 << 20;
/** What the client takes in a second: slow enough to watch. */
const RATE = 32 << 20;

const given = readOptions(process.argv.slice(2), { name: 'download' });
const sample = largestOf(given.root, 16 << 20) ?? standIn('sample.bin', STAND_IN);
const root = path.dirname(sample);

const server = http.createServer(async (req, res) => {
  try {
    await answer(req, res);
  } catch (error) {
    // Each rejection ends here: a client that leaves must not end the server.
    fail(res, error);
  }
});

async function answer(req, res) {
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new HttpError(405, { Allow: 'GET, HEAD' });
  const [, name, query = ''] = /^\/([^?]*)\??(.*)$/s.exec(req.url) ?? [];
  if (name === undefined) throw new HttpError(400);
  const { file, stat } = await findFile(root, decode(name));
  const { status, headers, offset, length } = selectRange(req, stat);
  res.statusCode = status;
  for (const [header, value] of Object.entries(headers)) res.setHeader(header, value);
  res.setHeader('Content-Type', lookup(file) ?? 'application/octet-stream');
  // Of the whole file, whatever part is asked for (RFC 9530).
  res.setHeader('Repr-Digest', `sha-256=:${await digestOf(file, headers.ETag)}:`);

  const controller = new AbortController();
  const cut = query === 'cut' && offset === 0 ? length / 2 : Infinity;
  await transfer(res, file, {
    offset,
    length,
    signal: controller.signal, // ends the download, and its connection
    timeout: 30_000, // so does a client that takes nothing for so long
    onProgress(sent) {
      if (sent >= cut && sent < length) controller.abort();
    },
  });
  res.end();
}

function fail(res, error) {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    console.log(`\nthe server has sent ${mebi(error.bytesSent ?? 0)} MiB: ${error.code}`);
    return;
  }
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  const status = statusOf(error);
  res
    .writeHead(status, { ...error.headers, 'Content-Type': 'text/plain' })
    .end(`${status} ${http.STATUS_CODES[status]}\n`);
}

const digests = new Map();

/** Made once for each state of a file. */
function digestOf(file, etag) {
  const { etag: known, digest } = digests.get(file) ?? {};
  if (known === etag) return digest;
  const made = sha256Of(file);
  digests.set(file, { etag, digest: made });
  return made;
}

/** The largest file of a directory, if it is large enough to be cut. */
function largestOf(directory, least) {
  const sizes = fs
    .readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => path.join(directory, name))
    .map((file) => ({ file, size: fs.statSync(file).size }))
    .sort((a, b) => b.size - a.size);
  return sizes[0]?.size >= least ? sizes[0].file : undefined;
}

const leaving = new AbortController();

listen(server, given.port, async (port) => {
  const name = encode(path.basename(sample));
  announce('download', root, `curl -C - -o ${name} http://127.0.0.1:${port}/${name}`);
  try {
    const sum = await download(`http://127.0.0.1:${port}/${name}?cut`, temporary(`${name}.copy`), {
      rate: RATE,
      signal: leaving.signal,
    });
    console.log(`SHA-256 ${sum}: as the server has it`);
  } catch (error) {
    if (!leaving.signal.aborted) console.error(`the download has failed: ${error.message}`);
  }
});
endOnSignal(() => {
  leaving.abort();
  closeServer(server);
});
