'use strict';

/**
 * As many slow clients at a time as the process may have descriptors for, half of them with a response and half with a
 * bare socket: three descriptors each, the connection's own with its duplicate, and the file's.
 */

const { execFileSync } = require('node:child_process');
const { pattern, tmpFile, tmpPath } = require('../helpers');
const { endAll, start } = require('../processes');

const MOST = 6000;
const FDS_EACH = 3;
/** What a process has open besides. */
const FDS_SPARE = 200;
/** The most that is on its way to a client which does not read: in its socket, and in Node. */
const BUFFERED = 300_000;
const ROUND = 64 * 1024;
/** What every client asks for, all in turn, before it is measured what they get, and then. */
const BEFORE = { bytes: ROUND, count: Math.ceil(BUFFERED / ROUND) };
/** Who got nothing in this time but what had been on its way would have less than half of it. */
const MEASURED = { bytes: ROUND, count: Math.ceil((2 * BUFFERED) / ROUND) + 1 };
/** No transfer is over by then. */
const SIZE = (BEFORE.count + MEASURED.count) * ROUND + BUFFERED;

afterEach(endAll);

/** Node raises its own limit to this. */
function hardLimit() {
  const text = execFileSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Infinity : Number(text);
}

const limit = hardLimit();
const CLIENTS = Math.min(MOST, Math.floor((limit - FDS_SPARE) / FDS_EACH / 2) * 2);

test(`${CLIENTS} slow transfers at a time, with ${limit} descriptors`, async () => {
  const where = {
    file: tmpFile(pattern(SIZE)),
    responses: tmpPath('responses'),
    sockets: tmpPath('sockets'),
    count: CLIENTS,
  };
  const server = start(require.resolve('./load/server'));
  const clients = start(require.resolve('./load/clients'));
  await server.ask('listen', where);
  const atRest = await server.ask('state');
  await clients.ask('connect', where);
  await server.ask('allWaiting', CLIENTS);
  const waiting = await server.ask('state');
  expect(waiting).toMatchObject({ running: CLIENTS, failed: 0, done: 0 });
  expect(waiting.fds - atRest.fds).toBe(CLIENTS * FDS_EACH);

  await clients.ask('rounds', BEFORE);
  const got = (await clients.ask('rounds', MEASURED)).sort((a, b) => a - b);
  const running = await server.ask('state');
  expect(running).toMatchObject({ running: CLIENTS, failed: 0, done: 0 });
  const [slowest, median] = [got[0], got[got.length >> 1]];
  expect(median).toBeGreaterThan(BUFFERED);
  expect(slowest / median).toBeGreaterThanOrEqual(0.5);

  expect(await clients.ask('drain')).toEqual({ right: CLIENTS, wrong: [] });
  const after = await server.ask('state');
  expect(after).toMatchObject({ running: 0, failed: 0, done: CLIENTS });
  await server.ask('noneOpen', atRest.fds);
  // Two leaders, and a crew of at most 32 for what is on a disk: whatever the number of transfers.
  for (const { threads } of [waiting, running, after]) expect(threads - atRest.threads).toBeLessThan(40);
  await Promise.all([server.end(), clients.end()]);
});
