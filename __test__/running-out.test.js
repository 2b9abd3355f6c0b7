'use strict';

/**
 * A process whose descriptors run out in the middle of a thousand transfers: every request ends, whole or with an error
 * that says what was missing, and afterwards all is as before.
 */

const net = require('node:net');
const { pattern, tmpFile, tmpPath, until } = require('./helpers');
const { HttpClient } = require('./http-client');
const { endAll, start } = require('./processes');
const { expectBytes } = require('./streams');
const { way } = require('./ways');

/** How the server's transfers go while nothing is wanting. */
const USUAL = way === 'disabled' ? 'copy RS_SENDFILE_DISABLE' : 'sendfile';

const DESCRIPTORS = 300;
const REQUESTS = 1000;
const SIZE = 500_000;
/** Clients that connect at a time: fewer than the server's backlog. */
const WAVE = 50;

const content = pattern(SIZE, 9);
const file = tmpFile(content);

let server;
let path;
let atRest;

beforeEach(async () => {
  path = tmpPath('socket');
  server = start(require.resolve('./programs/scarce'), { descriptors: DESCRIPTORS });
  await server.ask('listen', { file, path });
  // What is opened once and stays.
  expect(await get('/path')).toBe('whole');
  expect(await get('/fd')).toBe('whole');
  atRest = await settled();
});
afterEach(endAll);

/** What the server says once it has heard of the end of every transfer, too. */
async function settled() {
  let state;
  await until(async () => {
    state = await server.ask('state');
    return state.running === 0;
  }, 'every transfer to have ended');
  return state;
}

const connected = (socket) =>
  new Promise((resolve) => {
    socket.once('connect', resolve).once('close', resolve);
  });

/** What a request has come to. */
async function outcome(client) {
  const response = await client.response();
  // Node had no descriptor for the connection, and closed it.
  if (response === null) return 'refused';
  if (response.status === 500) return `500 ${response.body}`;
  expect(response.status).toBe(200);
  if (!response.whole) return 'cut short';
  expectBytes(response.body, content);
  return 'whole';
}

async function get(target) {
  const client = new HttpClient(net.connect(path));
  client.send(target, 'GET', ['Connection: close']);
  const came = await outcome(client);
  client.destroy();
  return came;
}

function tally(outcomes) {
  const counts = {};
  for (const one of outcomes) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
}

/** Everybody has had the whole file or been told why not, and so have those who called `transfer`. */
async function eachHasEnded(outcomes) {
  const { whole, refused = 0, '500 EMFILE': told = 0, ...others } = tally(outcomes);
  expect(others).toEqual({});
  expect(whole + told + refused).toBe(REQUESTS);
  expect(whole).toBeGreaterThanOrEqual(WAVE);
  // JS takes fewer of them.
  if (way !== 'disabled') expect(told + refused).toBeGreaterThan(0);
  const { [USUAL]: usual, 'copy EMFILE': copied = 0, EMFILE = 0, ...rest } = (await settled()).ways;
  expect(rest).toEqual({});
  expect(usual - atRest.ways[USUAL] + copied).toBe(whole);
  expect(EMFILE).toBe(told);
}

/** All descriptors are back, and the next transfer goes the kernel's way. */
async function asBefore() {
  await until(async () => (await server.ask('state')).fds <= atRest.fds, 'the descriptors to be given back');
  const { ways: before } = await settled();
  expect(await get('/path')).toBe('whole');
  expect(await get('/fd')).toBe('whole');
  const { ways: after } = await settled();
  expect(after[USUAL]).toBe(before[USUAL] + 2);
  await server.end();
}

test.each(['/path', '/fd'])(
  '%s: a thousand clients, none of which reads before all have asked',
  async (target) => {
    const clients = [];
    while (clients.length < REQUESTS) {
      const wave = Array.from({ length: WAVE }, () => new HttpClient(net.connect(path)));
      for (const client of wave) client.send(target, 'GET', ['Connection: close']);
      await Promise.all(wave.map(({ socket }) => connected(socket)));
      clients.push(...wave);
      // The first are on their way before it becomes narrow.
      if (clients.length === WAVE) await Promise.all(wave.map((client) => client.fill()));
    }
    await eachHasEnded(await Promise.all(clients.map(outcome)));
    await asBefore();
  },
);

test.each(['/path', '/fd'])('%s: twenty clients that pipeline fifty requests each', async (target) => {
  const CONNECTIONS = 20;
  const clients = Array.from({ length: CONNECTIONS }, () => new HttpClient(net.connect(path)));
  for (const client of clients) {
    for (let i = 0; i < REQUESTS / CONNECTIONS; i++) client.send(target);
  }
  await Promise.all(clients.map(({ socket }) => connected(socket)));
  const all = await Promise.all(
    clients.map(async (client) => {
      const outcomes = [];
      for (let i = 0; i < REQUESTS / CONNECTIONS; i++) outcomes.push(await outcome(client));
      client.destroy();
      return outcomes;
    }),
  );
  // No connection is lost once it was there.
  for (const outcomes of all) expect([0, outcomes.length]).toContain(tally(outcomes).refused ?? 0);
  await eachHasEnded(all.flat());
  await asBefore();
});
