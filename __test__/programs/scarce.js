'use strict';

/** A server that may have few descriptors, and tells what became of its transfers. */

const fs = require('node:fs');
const http = require('node:http');
const { subscribe } = require('node:diagnostics_channel');
const { transfer } = require('../..');
const { answers } = require('../processes');

let running = 0;
const ways = {};
subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ method, reason, error }) => {
  const way = [error?.code ?? method, error ? undefined : reason].filter(Boolean).join(' ');
  ways[way] = (ways[way] ?? 0) + 1;
});

async function serve(res, source) {
  running++;
  try {
    await transfer(res, source());
    res.end();
  } catch (error) {
    if (res.headersSent) res.destroy();
    else res.writeHead(500).end(error.code);
  } finally {
    running--;
  }
}

answers({
  listen: ({ file, path }) => {
    const fd = fs.openSync(file);
    const server = http.createServer((req, res) => serve(res, () => (req.url === '/fd' ? fd : file)));
    // Node tells of a connection that it has no descriptor for, if it cannot even close it.
    server.on('error', () => {});
    return new Promise((resolve) => server.listen({ path, backlog: 4096 }, resolve));
  },
  state: () => ({ running, ways, fds: fs.readdirSync('/proc/self/fd').length }),
});
