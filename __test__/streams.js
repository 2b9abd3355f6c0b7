'use strict';

/**
 * What tests of transfers share: pairs of sockets that do not outlive their test, byte for byte comparison that says
 * where it fails, a reader with a pace, the errors of promises.
 */

const fs = require('node:fs');
const { readAll, socketPair, tmpFile, until } = require('./helpers');

const opened = new Set();

/** A pair of sockets, ended by {@link closeAll}. */
async function pair(options) {
  const sockets = await socketPair(options);
  keep(sockets.near);
  keep(sockets.far);
  // Tests that look at the far side's error listen themselves.
  sockets.far.on('error', () => {});
  return sockets;
}

/** Destroys this stream, or closes this fd, once the test is over. */
function keep(thing) {
  opened.add(thing);
  return thing;
}

/** Opens a file (by path, content or length) for as long as the test runs. */
function openFile(content, flags = 'r') {
  const file = typeof content === 'string' && fs.existsSync(content) ? content : tmpFile(content);
  return keep(fs.openSync(file, flags));
}

/** For `afterEach`. */
function closeAll() {
  for (const thing of opened) {
    if (typeof thing === 'number') {
      try {
        fs.closeSync(thing);
      } catch {
        // The test has closed it.
      }
    } else if (typeof thing.destroy === 'function') {
      thing.on('error', () => {});
      thing.destroy();
    } else {
      thing.closeAllConnections?.();
      thing.close();
    }
  }
  opened.clear();
}

/** Fails where the bytes differ for the first time. */
function expectBytes(actual, expected) {
  if (actual.equals(expected)) return;
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  throw new Error(
    `${actual.length} bytes instead of ${expected.length}; the first difference is at ${at}: ` +
      `${actual.subarray(at, at + 16).toString('hex')} instead of ${expected.subarray(at, at + 16).toString('hex')}`,
  );
}

/** Runs `send(near)` on a pair, ends it, and gives back its result and all that has arrived. */
async function through(send, options) {
  const { near, far } = await pair(options);
  const received = readAll(far);
  const result = await send(near, far);
  near.end();
  return { result, received: await received };
}

/** The error that a promise rejects with. */
async function failure(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`resolved with ${value}`);
}

/** Is a promise settled by now? */
function settled(promise) {
  const mark = {};
  return Promise.race([promise, Promise.resolve(mark)]).then(
    (value) => value !== mark,
    () => true,
  );
}

/** More than `least` bytes have left, and no more do: the transfer on this socket is under way, and the socket full. */
async function underWay(socket, least = 0) {
  let before = -1;
  await until(() => {
    const now = socket.bytesWritten;
    const still = now > least && now === before;
    before = now;
    return still;
  }, 'the first bytes');
}

/** Reads `step` bytes every `pause` ms, until the end: a slow client. */
async function readSlowly(socket, step, pause) {
  const chunks = [];
  while (!socket.readableEnded && !socket.destroyed) {
    const chunk = socket.read(Math.min(step, socket.readableLength) || undefined);
    if (chunk) chunks.push(chunk);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return Buffer.concat(chunks);
}

/**
 * The most listeners that one event of an emitter has had from here on, beyond those that Node warns of: a leak to it.
 * jest's own processes hear no warnings.
 */
function crowdOf(emitter) {
  let most = 0;
  emitter.on('newListener', (name) => {
    most = Math.max(most, emitter.listenerCount(name) + 1);
  });
  return () => Math.max(0, most - emitter.getMaxListeners());
}

module.exports = {
  crowdOf,
  pair,
  keep,
  openFile,
  closeAll,
  expectBytes,
  through,
  failure,
  settled,
  underWay,
  readSlowly,
};
