'use strict';

/** Child process: for each line, every one of its paths once, over so many connections: `{ bytes, ms, wrong }`. */

const http = require('node:http');
const readline = require('node:readline');

async function fetchAll({ port, paths, connections, size }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const began = performance.now();
  let bytes = 0;
  let wrong = 0;
  const fetchOne = (path) =>
    new Promise((resolve) => {
      let length = 0;
      const req = http.get({ host: '127.0.0.1', port, path: `/${path}`, agent }, (res) => {
        res.on('data', (chunk) => {
          length += chunk.length;
        });
        res.on('close', () => {
          bytes += length;
          if (res.statusCode !== 200 || length !== size) wrong++;
          resolve();
        });
      });
      req.on('error', () => {
        wrong++;
        resolve();
      });
    });
  await Promise.all(paths.map(fetchOne));
  agent.destroy();
  return { bytes, ms: performance.now() - began, wrong };
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => console.log(JSON.stringify(await fetchAll(JSON.parse(line)))));
lines.on('close', () => process.exit());
