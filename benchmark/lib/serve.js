'use strict';

/**
 * Child process: one contender's handler, and nothing else. At the line `measure` it begins to look at its own event
 * loop and at what fs.stat takes; at `report` it tells.
 */

const fs = require('node:fs');
const http = require('node:http');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const readline = require('node:readline');
const { quantile } = require('./statistics');

const SAMPLING_MS = 10;
const STAT_EVERY_MS = 5;

async function main(file, { root, port }) {
  const handler = await require(file).handler({ root });
  const server = http.createServer({ keepAliveTimeout: 120_000 }, handler);
  server.listen({ port, host: '127.0.0.1', backlog: 8192 });
  const lines = readline.createInterface({ input: process.stdin });
  let report;
  lines.on('line', async (line) => {
    if (line === 'measure') report = measure(root);
    else console.log(JSON.stringify(await report()));
  });
  lines.on('close', () => process.exit());
}

function measure(directory) {
  const histogram = monitorEventLoopDelay({ resolution: SAMPLING_MS });
  histogram.enable();
  const times = [];
  let going = true;
  const looks = (async () => {
    while (going) {
      const began = performance.now();
      await fs.promises.stat(directory);
      times.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, STAT_EVERY_MS));
    }
  })();
  return async () => {
    histogram.disable();
    going = false;
    await looks;
    // The sampling interval itself is no delay.
    const delay = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - SAMPLING_MS);
    return {
      loopDelayP99Ms: delay(histogram.percentile(99)),
      loopDelayMaxMs: delay(histogram.max),
      statP99Ms: quantile(times, 0.99),
    };
  };
}

main(process.argv[2], JSON.parse(process.argv[3]));
