'use strict';

/**
 * Thousands of clients that read slowly: what they cost, and what the server's other work feels of them. Each round has
 * a fresh server, so that its memory is that of this round.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFile } = require('../lib/data');
const { startServers, stopServers } = require('../lib/http');
const { cpuBetween, cpuOf, launch, rssOf } = require('../lib/processes');
const { takeTurns } = require('../lib/rounds');

const CLIENTS = path.join(__dirname, '..', 'programs', 'slow.js');
const SIZE = '64m';
/** Reads of all clients together in a second, of up to 64 KiB each. */
const READS = 5000;
/** A waiting transfer holds the file and two descriptors of the socket; a server has some of its own. */
const FDS = 3;
const SPARE_FDS = 500;
/** With so many there is time for a few contenders only. */
const MANY = 2000;
const WITH_MANY = ['transfer', 'pipe', 'sirv', 'nginx'];

module.exports = {
  id: 'e',
  title: 'slow readers',
  baseline: 'pipe',
  main: 'cpuMsPerGb',
  columns: [
    { metric: 'cpuMsPerGb', title: 'CPU ms/GB' },
    { metric: 'mbPerSecond', title: 'MB/s' },
    { metric: 'rssKb', title: 'RSS kB/transfer' },
    { metric: 'loopDelayP99Ms', title: 'loop p99 ms' },
    { metric: 'statP99Ms', title: 'fs.stat p99 ms' },
  ],
  async run(context) {
    const { quick } = context.options;
    const wanted = context.options.clients ?? (quick ? [200] : [1000, 6000]);
    const allowed = Math.floor((hardLimit() - SPARE_FDS) / FDS);
    const root = path.join(context.directory, 'slow');
    fs.mkdirSync(root);
    makeFile(root, SIZE);
    for (const want of wanted) {
      const count = Math.min(want, allowed);
      if (count < want) context.note(`${want} slow readers: ulimit -Hn ${hardLimit()} allows ${count}`);
      const contenders = context.contenders.filter(({ id }) => count < MANY || WITH_MANY.includes(id));
      const rounds = context.options.rounds ?? (quick ? 1 : count < MANY ? 3 : 2);
      const seconds = quick ? 0.7 : 2;
      const played = await takeTurns({
        names: contenders.map(({ id }) => id),
        rounds,
        say: context.turn(`${count} clients`, rounds),
        play: (name) => {
          const contender = contenders.find(({ id }) => id === name);
          return playOne(context, contender, { root, count, seconds });
        },
      });
      context.cell({ params: { clients: count }, ...played });
    }
  },
};

async function playOne(context, contender, { root, count, seconds }) {
  let why;
  const fail = (_contender, reason) => {
    why = reason;
  };
  const servers = await startServers([contender], { ...context, root, fail });
  if (why) throw new Error(why);
  const { port, pid, program } = servers.get(contender.id);
  const watches = contender.handler !== undefined; // a server of Node, which can look at itself
  const clients = launch([process.execPath, CLIENTS]);
  try {
    const rssBefore = rssOf(pid);
    const { failed } = await clients.ask(JSON.stringify({ port, path: SIZE, clients: count }));
    if (failed) throw new Error(`${failed} of ${count} clients got no answer`);
    if (watches) program.child.stdin.write('measure\n');
    const before = cpuOf(pid);
    const { bytes, ms, ended } = await clients.ask(JSON.stringify({ reads: READS, ms: seconds * 1000 }));
    const cpuMs = cpuBetween(before, cpuOf(pid));
    const rssKb = (rssOf(pid) - rssBefore) / 1000 / count;
    const own = watches ? await program.ask('report') : {};
    const errors = ended ? `${ended} connections ended early` : '';
    return { cpuMsPerGb: cpuMs / (bytes / 1e9), mbPerSecond: bytes / 1000 / ms, rssKb, ...own, errors };
  } finally {
    await clients.stop('SIGKILL');
    await stopServers(servers);
  }
}

/** The most descriptors a process may have. */
function hardLimit() {
  const text = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}
