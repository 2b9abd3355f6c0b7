'use strict';

/**
 * pysendfile's own comparison: one connection, 64 KiB for each pass of a loop that reads and writes or has the kernel
 * send, in Node and in C; over loopback, and over a pair of virtual cables between two network namespaces.
 */

const path = require('node:path');
const { makeFile } = require('../lib/data');
const { makeNamespaces } = require('../lib/netns');
const { launch } = require('../lib/processes');
const { takeTurns } = require('../lib/rounds');

const PASS = 64 * 1024;
const MIB = 2 ** 20;

module.exports = {
  id: 'a',
  title: 'pysendfile’s own: one connection, 64 KiB a pass',
  baseline: 'pass-read-write',
  main: 'cpuUs',
  columns: [
    { metric: 'cpuUs', title: 'CPU us/pass' },
    { metric: 'mbPerSecond', title: 'MB/s' },
    { metric: 'waits', title: 'waits/pass' },
  ],
  async run(context) {
    const { quick, rounds = quick ? 2 : 6 } = context.options;
    const bytes = (quick ? 64 : 256) * MIB;
    const file = makeFile(context.directory, '64m', 'pass');
    for (const network of ['loopback', 'veth']) {
      const wire = network === 'veth' ? makeVeth(context) : { host: '127.0.0.1' };
      if (!wire) continue;
      const pairs = new Map();
      for (const contender of context.contenders) {
        const { host, netns, peer } = wire;
        const sender = await contender.start({ ...context, host, netns });
        const { port } = sender.first;
        const reader = launch([process.execPath, path.join(__dirname, '..', 'programs', 'reader.js')], {
          netns: peer,
        });
        await reader.ask();
        await reader.ask(`${host} ${port}`);
        pairs.set(contender.id, { sender, reader });
      }
      const played = await takeTurns({
        limitMs: 20_000,
        names: [...pairs.keys()],
        rounds,
        warmUps: 1,
        say: context.turn(network, rounds),
        async play(name) {
          const { sender, reader } = pairs.get(name);
          await reader.ask(String(bytes));
          const { cpuUs, wallUs, waits } = await sender.ask(`${file} ${bytes} ${PASS}`);
          const passes = bytes / PASS;
          return { cpuUs: cpuUs / passes, mbPerSecond: bytes / wallUs, waits: waits / passes };
        },
      });
      for (const { sender, reader } of pairs.values()) await Promise.all([sender.stop(), reader.stop()]);
      wire.remove?.();
      context.cell({ params: { network }, ...played });
    }
  },
};

/** Two namespaces and the cable between them; nothing, and it was said why, where they cannot be had. */
function makeVeth(context) {
  const { names, remove, reason } = makeNamespaces([
    'ip link add veth netns %1 type veth peer name veth netns %2',
    'ip -n %1 addr add 10.231.0.1/30 dev veth',
    'ip -n %2 addr add 10.231.0.2/30 dev veth',
    'ip -n %1 link set veth up',
    'ip -n %2 link set veth up',
  ]);
  if (reason) return context.note(`veth is left out: ${reason}`);
  return { host: '10.231.0.1', netns: names[0], peer: names[1], remove };
}
