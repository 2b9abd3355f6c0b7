'use strict';

/**
 * Readers that take longer in all than a clock allows for a pause: no clock ends what moves, and each ends what stands
 * still. All of them read at the same time, so that the clocks may be long enough for a machine that is busy otherwise.
 */

const { transfer } = require('..');
const { pattern, tmpFile } = require('./helpers');
const { kinds } = require('./kinds');
const { closeAll, expectBytes, failure, openFile, pair } = require('./streams');

const MS = 2500;
/** For this long a reader takes `STEP` bytes at a time, and pauses in between; then it takes all. */
const SLOW_MS = 1.3 * MS;
const PAUSE_MS = 100;
const STEP = 64 * 1024;
/** So much that a reader from a socket with small buffers is slow to its end. */
const SIZE = 3 << 20;
/** More than any buffers hold. */
const HUGE = 16 << 20;

const content = pattern(SIZE, 82);
const file = tmpFile(content);
const huge = tmpFile(pattern(HUGE, 83));

/** All that comes, slowly. */
async function readSlowly(far) {
  const began = performance.now();
  const chunks = [];
  while (!far.readableEnded && !far.destroyed) {
    const chunk = far.read(Math.min(STEP, far.readableLength) || undefined);
    if (chunk) chunks.push(chunk);
    const isSlow = performance.now() - began < SLOW_MS;
    await new Promise((resolve) => (isSlow ? setTimeout(resolve, PAUSE_MS) : setImmediate(resolve)));
  }
  return Buffer.concat(chunks);
}

/** Begins transfers on a pair of streams, and reads them slowly: what came, the counts, and how long the last took. */
async function readFrom({ near, far }, begin) {
  const began = performance.now();
  const sending = Promise.all(begin(near)).finally(() => near.end());
  const ended = sending.then(() => performance.now() - began);
  const [counts, took, received] = await Promise.all([sending, ended, readSlowly(far)]);
  return { counts, took, received };
}

async function movesSlowly(open) {
  const { counts, received } = await readFrom(await open(), (near) => [
    transfer(near, openFile(file), { timeout: MS }),
  ]);
  expect(counts).toEqual([SIZE]);
  expectBytes(received, content);
}

async function standsStill(open) {
  const { near } = await open();
  const error = await failure(transfer(near, openFile(huge), { timeout: 400 }));
  expect(error).toMatchObject({ code: 'ERR_SENDFILE_TIMEOUT' });
  expect(error.bytesSent).toBeLessThan(HUGE);
  expect((near.stream ?? near).destroyed).toBe(true);
}

async function countsFromTheLastByte() {
  const { counts, took, received } = await readFrom(await pair({ unix: true }), (near) => [
    transfer(near, openFile(file), { timeout: MS }),
  ]);
  expect(counts).toEqual([SIZE]);
  expect(took).toBeGreaterThan(1.1 * MS);
  expectBytes(received, content);
}

async function countsWhatIsBeforeIt() {
  const { counts, took, received } = await readFrom(await pair({ unix: true }), (near) => [
    transfer(near, openFile(file)),
    transfer(near, openFile(file), { timeout: MS, length: 10 }),
  ]);
  expect(counts).toEqual([SIZE, 10]);
  expect(took).toBeGreaterThan(1.1 * MS);
  expect(received.length).toBe(SIZE + 10);
}

async function keepsTheIdleTimer(method) {
  const sockets = await pair({ unix: true });
  let fired = 0;
  sockets.near.setTimeout(MS, () => fired++);
  const { took, received } = await readFrom(sockets, (near) => [transfer(near, openFile(file), { method })]);
  expect(took).toBeGreaterThan(1.1 * MS);
  expect(received.length).toBe(SIZE);
  expect(fired).toBe(0);
}

const cases = {
  'the timeout counts from the last byte that moved': countsFromTheLastByte,
  'the timeout counts the bytes of those before it as movement': countsWhatIsBeforeIt,
  "the socket's idle timer does not fire while bytes move, method auto": () => keepsTheIdleTimer('auto'),
  "the socket's idle timer does not fire while bytes move, method copy": () => keepsTheIdleTimer('copy'),
};
for (const [kind, open] of Object.entries(kinds)) {
  cases[`${kind} that stands still is timed out`] = () => standsStill(open);
  cases[`${kind} that moves slowly is not timed out`] = () => movesSlowly(open);
}

/** What has come of each case: nothing, or its error. */
const outcomes = new Map();

beforeAll(async () => {
  const run = async ([name, one]) => {
    outcomes.set(
      name,
      await one().then(
        () => undefined,
        (error) => error,
      ),
    );
  };
  await Promise.all(Object.entries(cases).map(run));
}, 60_000);

afterAll(closeAll);

test.each(Object.keys(cases))('%s', (name) => {
  expect(outcomes.has(name)).toBe(true);
  const error = outcomes.get(name);
  if (error) throw error;
});
