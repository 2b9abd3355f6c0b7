'use strict';

/** Child process: one run of autocannon, asked for by a line of JSON, answered by one. */

const { once } = require('node:events');
const readline = require('node:readline');
const autocannon = require('autocannon');

async function main() {
  const [line] = await once(readline.createInterface({ input: process.stdin }), 'line');
  const { url, connections, ms, ranges } = JSON.parse(line);
  const requests = ranges && Array.from({ length: 1000 }, () => ({ headers: { range: piece(ranges) } }));
  const result = await autocannon({
    url,
    connections,
    duration: Math.max(1, ms / 1000),
    timeout: 30,
    requests,
  });
  const { requests: all, throughput, latency, errors, timeouts, non2xx, duration } = result;
  console.log(JSON.stringify({ requests: all, throughput, latency, errors, timeouts, non2xx, duration }));
}

function piece({ size, length }) {
  const start = Math.floor(Math.random() * (size - length));
  return `bytes=${start}-${start + length - 1}`;
}

main();
