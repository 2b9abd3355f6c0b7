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
const { atRest, connectionsOf, cpuBetween, cpuOf, launch, rssOf } = require('../lib/processes');
const { makeNamespaces } = require('../lib/netns');
const { takeTurns } = require('../lib/rounds');

const CLIENTS = path.join(__dirname, '..', 'programs', 'slow.js');
const SIZE = '64m';
/** Reads of all clients together in a second, of up to 64 KiB each. */
const READS = 5000;
/** A waiting transfer holds the file and two descriptors of the socket; a server has some of its own. */
const FDS = 3;
const SPARE_FDS = 500;
/**
 * Over loopback the kernel takes 4 MB for each client that does not read, and then a server has nothing to do for long:
 * so the clients' network has buffers of the size that the internet gives them.
 */
const SMALL_BUFFERS = [
  'ip -n %1 link set lo up',
  'ip netns exec %1 sh -c "echo 4096 16384 262144 > /proc/sys/net/ipv4/tcp_wmem"',
  'ip netns exec %1 sh -c "echo 4096 65536 131072 > /proc/sys/net/ipv4/tcp_rmem"',
];
/** With so many, or in a hurry, there is time for a few contenders only. */
const MANY = 2000;
const WITH_MANY = ['transfer', 'pipe', 'nginx'];

module.exports = {
  id: 'e',
  title: 'slow readers',
  baseline: 'pipe',
  main: 'cpuMsPerGb',
  columns: [
    { metric: 'cpuMsPerGb', title: 'CPU ms/GB' },
    { metric: 'sentMb', title: 'MB sent to each' },
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
    const { names, remove, reason } = makeNamespaces(SMALL_BUFFERS);
    if (reason) context.note(`the sockets' buffers are the system's: ${reason}`);
    const network = { netns: names?.[0] };
    for (const want of wanted) {
      const count = Math.min(want, allowed);
      if (count < want) context.note(`${want} slow readers: ulimit -Hn ${hardLimit()} allows ${count}`);
      const few = quick || count >= MANY;
      const contenders = context.contenders.filter(({ id }) => !few || WITH_MANY.includes(id));
      const rounds = context.options.rounds ?? (quick ? 1 : count < MANY ? 3 : 2);
      const seconds = quick ? 0.7 : 2;
      const played = await takeTurns({
        names: contenders.map(({ id }) => id),
        rounds,
        say: context.turn(`${count} clients`, rounds),
        play: (name) => {
          const contender = contenders.find(({ id }) => id === name);
          return playOne({ ...context, ...network }, contender, { root, count, seconds });
        },
      });
      context.cell({ params: { clients: count }, ...played });
    }
    remove?.();
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
  const clients = launch([process.execPath, CLIENTS], { netns: context.netns });
  try {
    const rssBefore = rssOf(pid);
    const before = cpuOf(pid);
    const { failed } = await clients.ask(JSON.stringify({ port, path: SIZE, clients: count }));
    if (failed) throw new Error(`${failed} of ${count} clients got no answer`);
    await atRest(pid); // what fits in the sockets is there: now it is the readers who set the pace
    if (watches) program.child.stdin.write('measure\n');
    const { bytes, ended } = await clients.ask(JSON.stringify({ reads: READS, ms: seconds * 1000 }));
    const cpuMs = cpuBetween(before, cpuOf(pid));
    const sent = bytes + queued(pid, port);
    const rssKb = (rssOf(pid) - rssBefore) / 1000 / count;
    const own = watches ? await program.ask('report') : {};
    const errors = ended ? `${ended} connections ended early` : '';
    return { cpuMsPerGb: cpuMs / (sent / 1e9), sentMb: sent / 1e6 / count, rssKb, ...own, errors };
  } finally {
    await clients.stop('SIGKILL');
    await stopServers(servers);
  }
}

/** Bytes that wait in the sockets of this port's connections, on both sides: sent, and not read yet. */
function queued(pid, port) {
  return connectionsOf(pid).reduce((sum, { local, remote, toSend, toRead }) => {
    return sum + (local === port ? toSend : 0) + (remote === port ? toRead : 0);
  }, 0);
}

/** The most descriptors a process may have. */
function hardLimit() {
  const text = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}
