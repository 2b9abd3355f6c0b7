'use strict';

/** What asks a server: wrk where it is on PATH, else autocannon. */

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { catches, has, launch } = require('./processes');

const TOOL = has('wrk') ? 'wrk' : 'autocannon';
const SCRIPT = path.join(__dirname, 'report.lua');

/** Name and version. */
function describe() {
  if (TOOL === 'autocannon') {
    return `autocannon ${require('autocannon/package.json').version} (wrk is not on PATH: apt-get install wrk)`;
  }
  return spawnSync('wrk', ['-v'], { encoding: 'utf8' }).stdout.split(' [')[0];
}

/**
 * Asks for so long, and tells what came: `{ requests, bytes, seconds, p50Us, p99Us, errors }`. Bytes are all that the
 * server sent, answers that were under way at the end included.
 * @param {object} what
 * @param {number} what.port
 * @param {string} what.path
 * @param {number} what.connections
 * @param {number} what.ms
 * @param {{ size: number, length: number, seed: number }} [what.ranges] random pieces of a file of this size
 */
async function load({ port, path: place, connections, ms, ranges }) {
  const url = `http://127.0.0.1:${port}/${place}`;
  if (TOOL === 'wrk') {
    const args = ['-t1', `-c${connections}`, '-d600s', '--timeout', '30s', '-s', SCRIPT, url];
    if (ranges) args.push('--', String(ranges.size), String(ranges.length), String(ranges.seed));
    // At SIGINT it reports; its own -d knows whole seconds only.
    const program = launch(['wrk', ...args]);
    await catches(program, 'SIGINT');
    const timer = setTimeout(() => program.child.kill('SIGINT'), ms);
    await program.ended;
    clearTimeout(timer);
    return parseWrk(program.lines.join('\n') || program.complaints);
  }
  const program = launch([process.execPath, path.join(__dirname, 'autocannon.js')]);
  try {
    return parseAutocannon(await program.ask(JSON.stringify({ url, connections, ms, ranges })));
  } finally {
    await program.stop();
  }
}

/** Of all that wrk prints, the line of report.lua. */
function parseWrk(output) {
  const line = /^rs-sendfile (.+)$/m.exec(output);
  if (!line) throw new Error(`wrk said nothing of its result: ${output.trim().slice(-300)}`);
  const [requests, bytes, us, p50Us, p99Us, connect, read, write, status, timeout] = line[1]
    .split(' ')
    .map(Number);
  const errors = { connect, read, write, status, timeout };
  return {
    ...{ requests, bytes, seconds: us / 1e6, p50Us: requests ? p50Us : null },
    ...{ p99Us: requests ? p99Us : null, errors },
  };
}

/** What autocannon gives to its callback. */
function parseAutocannon(result) {
  const requests = result.requests.total;
  const errors = {
    connect: result.errors - result.timeouts,
    status: result.non2xx,
    timeout: result.timeouts,
  };
  return {
    ...{ requests, bytes: result.throughput.total, seconds: result.duration },
    ...{ p50Us: requests ? result.latency.p50 * 1000 : null },
    ...{ p99Us: requests ? result.latency.p99 * 1000 : null, errors },
  };
}

/** `2 status, 1 timeout`; nothing if all went well. */
function complaint(errors) {
  const some = Object.entries(errors).filter(([, count]) => count > 0);
  return some.map(([what, count]) => `${count} ${what}`).join(', ');
}

module.exports = { load, describe, parseWrk, parseAutocannon, complaint, TOOL };
