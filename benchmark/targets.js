'use strict';

/**
 * What a full run has to show. One row each:
 *
 * - `scenario`, and `where`: the cells of it that count, by their parameters; all of them if left out.
 * - `of` and `metric`: whose figure; `over`: divided by whose, round by round; `minus`: less whose. `over` a list is the
 *   best of it. `against`: the same ratio of two others, by which it is divided.
 * - `most` or `least`: the limit. `floor`: figures below it count as so much.
 * - `elsewhere`: it is not measured here, but by what this says.
 */

const big = ['1m', '16m'];
/** Servers of Node that this package does not help. */
const peers = ['pipe', 'pipeline', 'sirv'];
const own = { of: 'pass-sendfile', over: 'pass-read-write' };
const inC = ['pass-sendfile-c', 'pass-read-write-c'];
const row = (scenario, text, how) => ({ scenario, text, ...how });
const cpu = (size, over, most, text) =>
  row('c', `${[size].flat().join(', ')}: CPU per request / ${text}`, {
    where: { size },
    of: 'transfer',
    metric: 'cpuUs',
    over,
    most,
  });
const rate = (size, over, least, text, of = 'transfer') =>
  row('c', `${size ? [size].flat().join(', ') : 'all sizes'}: requests/s / ${text}`, {
    where: size ? { size } : {},
    of,
    metric: 'requestsPerSecond',
    over,
    least,
  });

module.exports = [
  row('a', 'CPU: sendfile / read+write, over the same in C', {
    ...own,
    metric: 'cpuUs',
    against: inC,
    most: 1.1,
  }),
  row('a', 'rate: sendfile / read+write, over the same in C', {
    ...own,
    metric: 'mbPerSecond',
    against: inC,
    least: 1 / 1.1,
  }),
  row('b', 'ns per call more than C', { of: 'call-sendfile', metric: 'cpuNs', minus: 'call-c', most: 1000 }),
  row('b', 'per call / CPython os.sendfile', {
    of: 'call-sendfile',
    metric: 'cpuNs',
    over: 'call-python',
    most: 1.2,
  }),
  cpu(big, 'nginx', 1.2, 'nginx'),
  cpu(big, 'express', 0.2, 'Express res.sendFile'),
  cpu(big, 'pipe', 0.35, 'bare pipe'),
  rate(big, 'nginx', 1, 'nginx'),
  cpu('64k', 'nginx', 1.4, 'nginx'),
  cpu('64k', 'bun', 1, 'Bun'),
  cpu('64k', 'express', 0.2, 'Express res.sendFile'),
  cpu('64k', 'sirv', 0.3, 'sirv'),
  cpu('1k', 'memory', 1.4, 'res.end(buffer)'),
  cpu('1k', 'bun', 1, 'Bun'),
  rate('1k', 'express', 3, 'Express res.sendFile'),
  rate('1k', 'sirv', 1.5, 'sirv'),
  rate('1m', 'express', 2, 'Express, of Express + register', 'register-express'),
  rate(undefined, 'express', 1, 'Express, of Express + register', 'register-express'),
  row('e', 'native memory per transfer, bytes', {
    most: 1024,
    elsewhere: 'npm run test:heavy, memory.test.js (a counting allocator)',
  }),
  row('e', 'event-loop delay p99 / best of the others', {
    of: 'transfer',
    metric: 'loopDelayP99Ms',
    over: peers,
    floor: 1,
    most: 2,
  }),
  row('e', 'fs.stat p99 / best of the others', {
    of: 'transfer',
    metric: 'statP99Ms',
    over: peers,
    most: 2,
  }),
  row('f', 'event-loop delay p99, ms', { of: 'transfer', metric: 'loopDelayP99Ms', most: 10 }),
];
