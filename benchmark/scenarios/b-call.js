'use strict';

/** What the call itself costs: the same sendfile(2) into /dev/null from Node, from C and from CPython. */

const { makeFile } = require('../lib/data');
const { takeTurns } = require('../lib/rounds');
const { bytesOf } = require('../lib/sizes');

module.exports = {
  id: 'b',
  title: 'the raw call, into /dev/null',
  baseline: 'call-c',
  main: 'cpuNs',
  columns: [
    { metric: 'cpuNs', title: 'CPU ns/call' },
    { metric: 'wallNs', title: 'ns/call' },
  ],
  async run(context) {
    const { quick, rounds = quick ? 3 : 9 } = context.options;
    const count = quick ? 30_000 : 100_000;
    const file = makeFile(context.directory, '64k', 'call');
    const programs = new Map();
    for (const contender of context.contenders) programs.set(contender.id, await contender.start(context));
    for (const size of ['4k', '64k']) {
      const played = await takeTurns({
        names: [...programs.keys()],
        rounds,
        warmUps: 1,
        say: context.turn(size, rounds),
        play: (name) => programs.get(name).ask(`${file} ${bytesOf(size)} ${count}`),
      });
      context.cell({ params: { size }, ...played });
    }
    for (const program of programs.values()) await program.stop();
  },
};
