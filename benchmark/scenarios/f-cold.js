'use strict';

/**
 * Files that are not in memory, dropped from the page cache before each round: does the event loop wait for the disk?
 * Asked as the user who owns the files, and as one who does not, whom Linux does not tell what is in memory.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { evict, inMemory, makeFile } = require('../lib/data');
const { startServers, stopServers } = require('../lib/http');
const { atRest, cpuBetween, cpuOf, launch } = require('../lib/processes');
const { takeTurns } = require('../lib/rounds');
const { bytesOf } = require('../lib/sizes');

const CLIENT = path.join(__dirname, '..', 'programs', 'fetch.js');
const SIZE = '4m';
const CONNECTIONS = 16;
const NOBODY = 65534;

module.exports = {
  id: 'f',
  title: 'cold files',
  baseline: 'pipe',
  main: 'loopDelayP99Ms',
  columns: [
    { metric: 'loopDelayP99Ms', title: 'loop p99 ms' },
    { metric: 'loopDelayMaxMs', title: 'loop max ms' },
    { metric: 'statP99Ms', title: 'fs.stat p99 ms' },
    { metric: 'mbPerSecond', title: 'MB/s' },
    { metric: 'cpuMsPerGb', title: 'CPU ms/GB' },
    { metric: 'leftInMemory', title: 'still cached' },
  ],
  async run(context) {
    const { quick, rounds = quick ? 1 : 5 } = context.options;
    if (inMemory(context.directory)) return context.note('left out: no file system on a disk was found');
    const root = path.join(context.directory, 'cold');
    fs.mkdirSync(root);
    const names = Array.from({ length: quick ? 16 : 64 }, (_, i) => `${i}`);
    const [first, ...others] = names.map((name) => path.join(root, name));
    makeFile(root, SIZE, names[0]);
    for (const file of others) fs.copyFileSync(first, file);
    const files = [first, ...others];
    spawnSync('sync', files); // pages that are still to be written cannot be dropped
    for (const user of users(context)) {
      const uid = user === 'owner' ? undefined : NOBODY;
      const servers = await startServers(context.contenders, { ...context, root, user: uid });
      const client = launch([process.execPath, CLIENT]);
      const played = await takeTurns({
        limitMs: 30_000,
        names: [...servers.keys()],
        rounds,
        say: context.turn(user, rounds),
        async play(name) {
          const { port, pid, program } = servers.get(name);
          const leftInMemory = evict(files);
          program.child.stdin.write('measure\n');
          const before = cpuOf(pid);
          const order = { port, paths: names, connections: CONNECTIONS, size: bytesOf(SIZE) };
          const { bytes, ms, wrong } = await client.ask(JSON.stringify(order));
          const cpuMs = cpuBetween(before, cpuOf(pid));
          const own = await program.ask('report');
          await atRest(pid);
          const errors = wrong ? `${wrong} wrong answers` : '';
          const rates = { mbPerSecond: bytes / 1000 / ms, cpuMsPerGb: cpuMs / (bytes / 1e9) };
          return { ...own, ...rates, leftInMemory, errors };
        },
      });
      await Promise.all([client.stop(), stopServers(servers)]);
      context.cell({ params: { user }, ...played });
    }
  },
};

function users(context) {
  if (process.getuid() !== 0) {
    context.note('another user is left out: becoming one needs root');
    return ['owner'];
  }
  const become = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  const may = spawnSync('setpriv', [
    ...become,
    process.execPath,
    '-e',
    `require(${JSON.stringify(__filename)})`,
  ]);
  if (may.status === 0) return ['owner', 'another user'];
  context.note('another user is left out: setpriv is missing, or that user may not read this directory');
  return ['owner'];
}
