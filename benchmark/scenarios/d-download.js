'use strict';

/** One download of 4 GiB over one connection, its bytes compared on the way. */

const fs = require('node:fs');
const path = require('node:path');
const { makeLargeFile } = require('../lib/data');
const { startServers, stopServers } = require('../lib/http');
const { atRest, cpuBetween, cpuOf, launch, rssOf } = require('../lib/processes');
const { takeTurns } = require('../lib/rounds');
const { bytesOf, spoken } = require('../lib/sizes');

const CLIENT = path.join(__dirname, '..', 'programs', 'download.js');

module.exports = {
  id: 'd',
  title: 'one large download',
  baseline: 'pipe',
  main: 'cpuMsPerGb',
  columns: [
    { metric: 'cpuMsPerGb', title: 'CPU ms/GB' },
    { metric: 'mbPerSecond', title: 'MB/s' },
    { metric: 'rssMb', title: 'RSS MB' },
  ],
  async run(context) {
    const { quick, rounds = quick ? 1 : 3 } = context.options;
    const size = quick ? '256m' : '4g';
    const root = path.join(context.directory, 'download');
    fs.mkdirSync(root);
    context.say(`making a file of ${spoken(size)}`);
    const file = makeLargeFile(root, size);
    const servers = await startServers(context.contenders, { ...context, root });
    const client = launch([process.execPath, CLIENT]);
    const length = bytesOf(size);
    const played = await takeTurns({
      names: [...servers.keys()],
      rounds,
      say: context.turn(spoken(size), rounds),
      async play(name) {
        const { port, pid } = servers.get(name);
        const before = cpuOf(pid);
        const { ms, wrong } = await client.ask(JSON.stringify({ port, path: size, size: length }));
        const cpuMs = cpuBetween(before, cpuOf(pid));
        if (wrong) throw new Error(wrong);
        const rssMb = rssOf(pid) / 1e6;
        await atRest(pid);
        return { cpuMsPerGb: cpuMs / (length / 1e9), mbPerSecond: length / 1000 / ms, rssMb };
      },
    });
    await Promise.all([client.stop(), stopServers(servers)]);
    fs.rmSync(file);
    context.cell({ params: { size }, ...played });
  },
};
