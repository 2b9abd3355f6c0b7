'use strict';

/**
 * What a program does on libuv's pool goes on beside its transfers. Two processes serve in turns, and both do the same
 * work at the same time: what a job takes where the transfers are is compared with what it takes beside them.
 */

const { pattern, tmpFile, tmpPath } = require('../helpers');
const { endAll, start } = require('../processes');

const CLIENTS = 1000;
const TURNS = 10;
const WORK_MS = 500;
/** Measured: 0.9 to 1.7, on two cores with ten processes at work. One pool thread held by a transfer: over 10. */
const MOST = 3;

afterEach(endAll);

function median(times) {
  return times.sort((a, b) => a - b)[times.length >> 1];
}

test(`fs, dns and crypto are not starved by ${CLIENTS} slow transfers in their process`, async () => {
  const file = tmpFile(pattern(2_000_000));
  const servers = ['a', 'b'].map((name) => ({
    server: start(require.resolve('./load/server')),
    where: {
      file,
      responses: tmpPath(`responses-${name}`),
      sockets: tmpPath(`sockets-${name}`),
      count: CLIENTS,
    },
  }));
  const clients = start(require.resolve('./load/clients'));
  for (const { server, where } of servers) await server.ask('listen', where);
  const serving = {};
  const beside = {};
  for (let turn = 0; turn < TURNS; turn++) {
    const [one, other] = turn % 2 === 0 ? servers : [...servers].reverse();
    await clients.ask('connect', one.where);
    await one.server.ask('allWaiting', CLIENTS);
    await clients.ask('sip');
    const works = [one, other].map(({ server }) => server.ask('work', { ms: WORK_MS }));
    const [here, there] = await Promise.all(works);
    expect(await one.server.ask('state')).toMatchObject({ running: CLIENTS });
    for (const name of Object.keys(here)) {
      serving[name] = [...(serving[name] ?? []), ...here[name]];
      beside[name] = [...(beside[name] ?? []), ...there[name]];
    }
    expect(await clients.ask('leave')).toBe(0);
    await one.server.ask('allWaiting', 0);
  }
  for (const name of Object.keys(serving)) {
    const ratio = median(serving[name]) / median(beside[name]);
    expect({ name, ratio, starved: ratio > MOST }).toEqual({ name, ratio, starved: false });
  }
  await Promise.all([...servers.map(({ server }) => server.end()), clients.end()]);
});
