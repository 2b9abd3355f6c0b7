'use strict';

/** HTTP keep-alive: files of every size, asked for again and again over a few connections and over many. */

const fs = require('node:fs');
const path = require('node:path');
const { makeFile } = require('../lib/data');
const { checkServers, LOAD_COLUMNS, measureLoad, startServers, stopServers } = require('../lib/http');
const { load, TOOL } = require('../lib/load');
const { takeTurns } = require('../lib/rounds');
const { bytesOf, spoken } = require('../lib/sizes');

const SIZES = ['1k', '16k', '64k', '1m', '16m'];
const WARM_UP_MS = 200;
/** It holds each answer whole: so many at a time would take gigabytes. */
const tooMuch = (id, size, connections) => id === 'read-file' && bytesOf(size) * connections > 2 ** 30;

module.exports = {
  id: 'c',
  title: 'HTTP keep-alive',
  baseline: 'pipe',
  main: 'cpuUs',
  columns: LOAD_COLUMNS,
  async run(context) {
    const { quick } = context.options;
    const sizes = context.options.sizes ?? (quick ? ['1k', '1m'] : SIZES);
    const connections = context.options.connections ?? (quick ? [32] : [32, 1, 256]);
    const root = path.join(context.directory, 'http');
    fs.mkdirSync(root);
    for (const size of sizes) makeFile(root, size);
    const servers = await startServers(context.contenders, { ...context, root });
    await warmUp(context, servers, sizes[0]);
    for (const size of sizes) {
      const file = path.join(root, size);
      const { wires, failed } = await checkServers(servers, { file, place: size });
      for (const [i, count] of connections.entries()) {
        const names = [...wires.keys()].filter((id) => !tooMuch(id, size, count));
        const { rounds, ms } = plan(context.options, count);
        const play = (name, round) =>
          measureLoad(servers.get(name), {
            ...{ path: size, connections: count, ms: round < 0 ? WARM_UP_MS : ms },
            ...{ wire: wires.get(name), size: bytesOf(size) },
          });
        const title = `${spoken(size)}, ${count} connection${count === 1 ? '' : 's'}`;
        const say = context.turn(title, rounds);
        // A size that a server has not met yet warms it up once.
        const warmUps = i === 0 && !quick ? 1 : 0;
        // A busy machine takes longer to start a round: it gets fewer of them.
        const limitMs = names.length * rounds * (ms + 150);
        const played = await takeTurns({ names, rounds, limitMs, warmUps, play, say });
        const cell = { params: { size, connections: count }, ...played };
        context.cell({ ...cell, failed: { ...failed, ...played.failed } });
      }
    }
    await stopServers(servers);
  },
};

/** Servers in JavaScript get fast by being asked: all answer so often, or for so long, before anything counts. */
async function warmUp(context, servers, path) {
  const enough = context.options.quick ? 1000 : 5000;
  for (const { id, port } of servers.values()) {
    context.say(`warming up ${id}`);
    const end = performance.now() + (context.options.quick ? 500 : 3000);
    for (let answers = 0; answers < enough && performance.now() < end; ) {
      answers += (await load({ port, path, connections: 32, ms: 250 })).requests;
    }
  }
}

/** The middle one is what the figures stand on. autocannon knows whole seconds only. */
function plan({ quick, rounds }, connections) {
  const short = TOOL === 'wrk' ? 200 : 1000;
  if (quick) return { rounds: rounds ?? 2, ms: short };
  if (connections === 32) return { rounds: rounds ?? 5, ms: Math.max(short, 400) };
  return { rounds: rounds ?? 3, ms: short };
}
