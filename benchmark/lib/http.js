'use strict';

/** Contenders as servers: started, checked, and measured under load. */

const { check } = require('./check');
const { complaint, load } = require('./load');
const { atRest, cpuBetween, cpuOf, freePort, rssOf } = require('./processes');

/** Starts contenders, each on a port of its own. Those that do not start are told to `fail`. */
async function startServers(contenders, { root, directory, user, netns, fail }) {
  const servers = new Map();
  for (const contender of contenders) {
    const port = await freePort();
    try {
      const program = await contender.start({ root, directory, port, user, netns });
      servers.set(contender.id, { id: contender.id, port, program, pid: program.pid });
    } catch (error) {
      fail(contender, error.message);
    }
  }
  return servers;
}

async function stopServers(servers) {
  await Promise.all([...servers.values()].map(({ program }) => program.stop()));
}

/** Those whose answer is right, each with the length of it on the connection: `id -> bytes`. */
async function checkServers(servers, { file, place, range }) {
  const wires = new Map();
  const failed = {};
  for (const { id, port } of servers.values()) {
    try {
      wires.set(id, await check(port, file, place, range));
    } catch (error) {
      failed[id] = `not measured, its answer is wrong: ${error.message}`;
    }
  }
  return { wires, failed };
}

/**
 * One round of load on one server. An answer is so many bytes as one was found to have: those that were under way at the
 * end count by their part, as their CPU time does.
 */
async function measureLoad(server, { path, connections, ms, ranges, wire, size }) {
  const before = cpuOf(server.pid);
  const result = await load({ port: server.port, path, connections, ms, ranges });
  const cpuMs = cpuBetween(before, cpuOf(server.pid));
  const rss = rssOf(server.pid);
  await atRest(server.pid);
  const answers = result.bytes / wire;
  // A round without figures.
  if (answers === 0) return { errors: [`no answer in ${ms} ms`, complaint(result.errors)].join(' ').trim() };
  return {
    cpuUs: (cpuMs * 1000) / answers,
    cpuMsPerGb: cpuMs / ((answers * size) / 1e9),
    requestsPerSecond: answers / result.seconds,
    mbPerSecond: (answers * size) / 1e6 / result.seconds,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    rssMb: rss / 1e6,
    errors: complaint(result.errors),
  };
}

/** What `measureLoad` tells, as a table has it. */
const LOAD_COLUMNS = [
  { metric: 'cpuUs', title: 'CPU us/req' },
  { metric: 'requestsPerSecond', title: 'req/s' },
  { metric: 'mbPerSecond', title: 'MB/s' },
  { metric: 'p50Us', title: 'p50 us' },
  { metric: 'p99Us', title: 'p99 us' },
  { metric: 'rssMb', title: 'RSS MB' },
];

module.exports = { LOAD_COLUMNS, startServers, stopServers, checkServers, measureLoad };
