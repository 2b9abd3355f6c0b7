'use strict';

/** Random ranges of 1 MiB out of one file of 1 GiB, eight and more for each connection. */

const fs = require('node:fs');
const path = require('node:path');
const { makeLargeFile, MIB } = require('../lib/data');
const { checkServers, LOAD_COLUMNS, measureLoad, startServers, stopServers } = require('../lib/http');
const { takeTurns } = require('../lib/rounds');
const { bytesOf, spoken } = require('../lib/sizes');

module.exports = {
  id: 'g',
  title: 'random ranges of 1 MiB',
  baseline: 'pipe',
  main: 'cpuUs',
  columns: LOAD_COLUMNS,
  async run(context) {
    const { quick, rounds = quick ? 1 : 4 } = context.options;
    const size = quick ? '64m' : '1g';
    const connections = 32;
    const root = path.join(context.directory, 'ranges');
    fs.mkdirSync(root);
    context.say(`making a file of ${spoken(size)}`);
    const file = makeLargeFile(root, size);
    const servers = await startServers(context.contenders, { ...context, root });
    // Over the border of a MiB, so that the stamp within it tells the place.
    const range = { start: 7 * MIB + 4321, end: 8 * MIB + 4320 };
    const { wires, failed } = await checkServers(servers, { file, place: size, range });
    const played = await takeTurns({
      limitMs: 45_000,
      names: [...wires.keys()],
      rounds,
      warmUps: quick ? 0 : 1,
      say: context.turn(`${spoken(size)}, ${connections} connections`, rounds),
      play: (name, round) =>
        measureLoad(servers.get(name), {
          ...{ path: size, connections, ms: quick ? 300 : 500, size: MIB, wire: wires.get(name) },
          // All have the same ranges in the same round.
          ranges: { size: bytesOf(size), length: MIB, seed: round + 100 },
        }),
    });
    await stopServers(servers);
    fs.rmSync(file);
    const cell = { params: { size, connections }, ...played };
    context.cell({ ...cell, failed: { ...failed, ...played.failed } });
  },
};
