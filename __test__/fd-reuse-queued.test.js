'use strict';

/**
 * Thousands of calls and transfers wait, their fds are closed, and other files and sockets get the numbers: each byte
 * goes where it was meant to go, and to nobody else.
 */

const fs = require('node:fs');
const { sendfile, transfer, waitWritable } = require('..');
const { fdOf, openFds, rawPair, readAll, takeAll, takeBytes, takeNow, tmpFile, until } = require('./helpers');
const { atEnd, closeAll, occupyPool, open } = require('./raw');
const { underWay } = require('./streams');

const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** Descriptors of sockets and of this file's files. */
const ours = () => [...openFds().values()].filter((what) => /^socket:|rs-sendfile/.test(what)).length;
let before;
beforeEach(() => {
  before = ours();
});

afterEach(async () => {
  await closeAll();
  // Nothing is left of it, here or on the engine's threads.
  await until(() => ours() <= before, `${before} descriptors`);
});

const TAGS = 16;
const PIECE = 500;
/** Files that hold nothing but their own number. */
const files = Array.from({ length: TAGS }, (_, tag) => tmpFile(Buffer.alloc(PIECE * 20, tag + 1)));
const DECOY = Buffer.alloc(1000, 200);
const decoyFile = tmpFile(DECOY);

/** So many pairs of sockets, side by side. */
function pairs(count) {
  return Promise.all(Array.from({ length: count }, () => rawPair({ unix: true })));
}

function destroyAfter(sockets) {
  atEnd(() => {
    for (const { near, far } of sockets) {
      near.destroy();
      far.destroy();
    }
  });
  return sockets;
}

/** Other files and sockets, until every one of these numbers is taken again, or `limit` are open. */
async function retake(numbers, limit) {
  const wanted = new Set(numbers);
  const decoys = { files: [], sockets: [] };
  while (wanted.size > 0 && decoys.files.length < limit) {
    for (let i = 0; i < 100; i++) {
      const fd = open(decoyFile, 'r+');
      decoys.files.push(fd);
      wanted.delete(fd);
    }
    for (const sockets of await pairs(20)) {
      decoys.sockets.push(sockets);
      wanted.delete(sockets.out);
      wanted.delete(sockets.peer);
    }
  }
  destroyAfter(decoys.sockets);
  return { ...decoys, missing: wanted.size };
}

/** Nothing has come to any of them, and nothing was read from them. */
function expectUntouched({ files: fds, sockets }) {
  expect(fs.readFileSync(decoyFile).equals(DECOY)).toBe(true);
  const touched = fds.filter((fd) => !/^pos:\s*0$/m.test(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')));
  expect(touched).toEqual([]);
  const strays = sockets.flatMap(({ out, peer }) => [takeNow(out, 100), takeNow(peer, 100)]);
  expect(strays.filter((bytes) => bytes !== null)).toEqual([]);
}

onLinux('5,000 calls that wait for the pool while their fds are closed and taken by others', () => {
  test('send to their own sockets, and to nobody else', async () => {
    const sockets = destroyAfter(await pairs(250));
    const release = await occupyPool();
    const inputs = [];
    const calls = [];
    for (let round = 0; round < 20; round++) {
      for (const [index, { out }] of sockets.entries()) {
        const input = fs.openSync(files[index % TAGS]);
        inputs.push(input);
        calls.push(sendfile(out, input, round * PIECE, PIECE));
      }
    }
    expect(calls).toHaveLength(5000);
    const numbers = [...inputs, ...sockets.map(({ out }) => out)];
    for (const input of inputs) fs.closeSync(input);
    for (const { near } of sockets) near.destroy();
    const decoys = await retake(numbers, 6000);
    expect(decoys.missing).toBeLessThan(20);

    await release();
    expect(new Set(await Promise.all(calls))).toEqual(new Set([PIECE]));
    for (const [index, { peer }] of sockets.entries()) {
      // The end too: no duplicate is left that would hold it back.
      const received = await takeAll(peer);
      expect(received.equals(Buffer.alloc(PIECE * 20, (index % TAGS) + 1))).toBe(true);
    }
    expectUntouched(decoys);
  });

  test('by FileHandles that are closed while they wait', async () => {
    const sockets = destroyAfter(await pairs(100));
    const handles = await Promise.all(sockets.map((_, index) => fs.promises.open(files[index % TAGS])));
    const release = await occupyPool();
    const calls = [];
    const closings = [];
    for (const [index, handle] of handles.entries()) {
      // The closing is the pool's work too: it may be done while the call before it is under way.
      calls.push(sendfile(sockets[index].out, handle, 0, null));
      closings.push(handle.close());
      calls.push(sendfile(sockets[index].out, handle, 0, null).catch(({ code }) => code));
      sockets[index].near.destroy();
    }
    await release();
    await Promise.all(closings);
    const counts = await Promise.all(calls);
    for (const [index, { peer }] of sockets.entries()) {
      const received = await takeAll(peer);
      // A handle that is being closed has no fd any more.
      expect(counts.slice(index * 2, index * 2 + 2)).toEqual([PIECE * 20, 'EBADF']);
      expect(received.equals(Buffer.alloc(PIECE * 20, (index % TAGS) + 1))).toBe(true);
    }
  });
});

onLinux('2,000 transfers that wait while their fds are closed and taken by others', () => {
  /** 100 full sockets: one transfer of each waits in the engine, 19 behind it. */
  async function waiting(fileOf) {
    const sockets = destroyAfter(await pairs(100));
    const large = Array.from({ length: TAGS }, (_, tag) => tmpFile(Buffer.alloc(400_000, tag + 1)));
    const numbers = [];
    const transfers = [];
    for (const [index, { near }] of sockets.entries()) {
      const given = Array.from({ length: 20 }, (_, place) =>
        fs.openSync(place === 0 ? large[index % TAGS] : files[index % TAGS]),
      );
      const sources = given.map(fileOf);
      transfers.push(sources.map((source) => transfer(near, source).catch(({ code }) => code)));
      numbers.push(given);
    }
    for (const { near } of sockets) await underWay(near);
    return { sockets, transfers, numbers };
  }

  test('send to their own sockets, and to nobody else', async () => {
    const { sockets, transfers, numbers } = await waiting((fd) => fd);
    expect(transfers.flat()).toHaveLength(2000);
    for (const fd of numbers.flat()) fs.closeSync(fd);
    // Every other socket goes too.
    const gone = sockets.filter((_, index) => index % 2);
    for (const { near } of gone) near.destroy();
    const decoys = await retake([...numbers.flat(), ...gone.map(({ out }) => out)], 3000);
    expect(decoys.missing).toBeLessThan(20);

    for (const [index, { near, far }] of sockets.entries()) {
      const received = await (index % 2 ? takeAll(fdOf(far)) : read(near, far, transfers[index]));
      const expected = index % 2 ? received.length : 400_000 + 19 * PIECE * 20;
      expect(received.equals(Buffer.alloc(expected, (index % TAGS) + 1))).toBe(true);
    }
    for (const [index, results] of transfers.entries()) {
      const rest = Array.from({ length: 19 }, () => PIECE * 20);
      expect(await Promise.all(results)).toEqual(
        index % 2 ? new Array(20).fill('ERR_STREAM_PREMATURE_CLOSE') : [400_000, ...rest],
      );
    }
    expectUntouched(decoys);
  });

  async function read(near, far, results) {
    const received = readAll(far);
    await Promise.all(results);
    near.end();
    return received;
  }
});

onLinux('1,000 waits for sockets whose numbers are taken by others', () => {
  test('resolve by their own socket, and by no other', async () => {
    const sockets = destroyAfter(await pairs(50));
    const filler = open(tmpFile(400_000));
    const held = [];
    for (const { out } of sockets) held.push(await sendfile(out, filler, 0, null));
    let resolved = 0;
    const waits = sockets.flatMap(({ out }) =>
      Array.from({ length: 20 }, () => waitWritable(out, { timeout: 30_000 }).then(() => (resolved += 1))),
    );
    for (const { near } of sockets) near.destroy();
    // Writable, all of them.
    const decoys = await retake(
      sockets.map(({ out }) => out),
      1000,
    );
    expect(decoys.missing).toBe(0);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(resolved).toBe(0);
    for (const [index, { peer }] of sockets.entries()) await takeBytes(peer, held[index]);
    await Promise.all(waits);
    expectUntouched(decoys);
    // Each duplicate is closed: the peers see the end.
    for (const { peer } of sockets) expect((await takeAll(peer)).length).toBe(0);
  });
});
