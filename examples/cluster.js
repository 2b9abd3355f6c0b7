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

/** So many workers may die within a minute. */
const DEATHS_MAX = 10;
const WITHIN_MS = 60_000;

const { root, port } = readOptions(process.argv.slice(2), { name: 'cluster' });

if (cluster.isPrimary) primary();
else worker();

function primary() {
  // Asked for here first: then a free port is the same one for workers to come, and one that is taken is said once.
  const probe = http.createServer();
  listen(probe, port, (actual) => probe.close(() => employ(actual)));
}

function employ(actual) {
  let ending = false;
  let deaths = [];
  const end = () => {
    ending = true;
    for (const one of Object.values(cluster.workers)) one.process.kill('SIGTERM');
  };
  const hire = () => cluster.fork({ PORT: actual });
  cluster.once('listening', () => {
    announce('cluster', root, `curl http://127.0.0.1:${actual}/${sampleOf(root)}`);
  });
  cluster.on('exit', (dead, code, signal) => {
    if (ending) return;
    const now = Date.now();
    deaths = [...deaths.filter((time) => now - time < WITHIN_MS), now];
    console.error(`worker ${dead.process.pid} has ended: ${signal ?? code}`);
    if (deaths.length <= DEATHS_MAX) return hire();
    console.error('too many in a minute: giving up');
    process.exitCode = 1;
    end();
  });
  for (let i = 0; i < os.availableParallelism(); i++) hire();
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
  listen(server, Number(process.env.PORT), () => {});
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
