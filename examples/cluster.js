'use strict';

/**
 * All cores: a worker for each, which shares the port with the others and is replaced if it dies.
 * `npm run example -- cluster [dir] [--port N]`
 */

const cluster = require('node:cluster');
const http = require('node:http');
const os = require('node:os');
const { lookup } = require('mrmime');
const { transfer } = require('..');
const { readOptions } = require('./lib/options');
const { selectRange } = require('./lib/range');
const { HttpError, decode, findFile, statusOf } = require('./lib/resource');
const { announce, closeServer, endOnSignal, listen, sampleOf } = require('./lib/serve');

/** Workers that die faster than this have a reason that a new one would have too. */
const DEATHS_MAX = 10;
const DEATHS_WITHIN_MS = 60_000;

const { root, port } = readOptions(process.argv.slice(2), { name: 'cluster' });

if (cluster.isPrimary) primary();
else worker();

function primary() {
  let ending = false;
  let deaths = [];
  cluster.once('listening', (_worker, { port: actual }) => {
    announce('cluster', root, `curl http://127.0.0.1:${actual}/${sampleOf(root)}`);
  });
  cluster.on('exit', (dead, code, signal) => {
    if (ending) return;
    const now = Date.now();
    deaths = [...deaths.filter((time) => now - time < DEATHS_WITHIN_MS), now];
    console.error(`worker ${dead.process.pid} ended: ${signal ?? code}`);
    if (deaths.length <= DEATHS_MAX) return cluster.fork();
    console.error(`${deaths.length} workers have died within a minute: giving up`);
    process.exitCode = 1;
    end();
  });
  for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();

  const end = () => {
    ending = true;
    for (const one of Object.values(cluster.workers)) one.process.kill('SIGTERM');
  };
  endOnSignal(end);
}

function worker() {
  const server = http.createServer(async (req, res) => {
    try {
      await answer(req, res);
    } catch (error) {
      // Each rejection ends here: a client that leaves must not end the worker.
      fail(res, error);
    }
  });
  listen(server, port, () => {});
  endOnSignal(() => {
    closeServer(server);
    cluster.worker.disconnect();
  });
}

async function answer(req, res) {
  if (req.method !== 'GET' && req.method !== 'HEAD') throw new HttpError(405, { Allow: 'GET, HEAD' });
  const { file, stat } = await findFile(root, decode(req.url.replace(/\?.*$/s, '')));
  const { status, headers, offset, length } = selectRange(req, stat);
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.setHeader('Content-Type', lookup(file) ?? 'application/octet-stream');
  res.setHeader('Worker', process.pid);
  await transfer(res, file, { offset, length });
  res.end();
}

function fail(res, error) {
  if (res.headersSent || res.destroyed) return res.destroy();
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  const status = statusOf(error);
  res
    .writeHead(status, { ...error.headers, 'Content-Type': 'text/plain' })
    .end(`${status} ${http.STATUS_CODES[status]}\n`);
}
