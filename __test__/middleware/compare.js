'use strict';

/** One scenario without register and with it: what the program saw, and what its clients got, must be the same. */

const fs = require('node:fs');
const onFinished = require('on-finished');
const { openFds, until } = require('../helpers');
const { connect, httpServer } = require('../http-client');
const { hooked } = require('../piped');
const { codeOf, root } = require('./apps');

/** Descriptors of the files that are served. */
const filesOpen = () => [...openFds()].filter(([, name]) => name.startsWith(root)).map(([fd]) => fd);

const closers = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/**
 * A program that serves, and the record of what it has seen.
 * @param {(note: (what: string) => void, extend?: (app: any) => any) => any} make
 * @param {object} [options]
 * @param {(app: any) => any} [options.extend]
 * @param {(req: any, res: any) => any} [options.before] what is waited for before the program hears of a request
 */
async function serve(make, { extend, before } = {}) {
  const seen = [];
  const note = (what) => void seen.push(what);
  const { handler, close } = await make(note, extend && ((app) => extend(app, note)));
  if (close) closers.push(close);
  /** The requests that have come, and how many of their responses are over. */
  const state = { port: 0, seen, responses: [], over: 0, note, get: (...args) => get(state, ...args) };
  const { port } = await httpServer(async (req, res) => {
    res.sendDate = false;
    state.responses.push(res);
    for (const event of ['finish', 'close', 'error']) res.on(event, () => note(`response ${event}`));
    res.on('close', () => state.over++);
    onFinished(res, (error) => note(`on-finished: ${codeOf(error)}`));
    await before?.(req, res);
    handler(req, res);
  });
  state.port = port;
  return state;
}

/** One request on a connection of its own, and all that was seen of it. */
async function get(state, target, { method = 'GET', headers = [] } = {}) {
  const client = connect(state.port);
  client.send(target, method, headers);
  const response = await client.response(method);
  // It hears the end before the server does: it must not leave first.
  await over(state, state.responses.length);
  client.destroy();
  return response;
}

/** Every response is over, and what that set going, too. */
async function over(state, responses = 1) {
  await until(() => state.over >= responses, "the responses' 'close'");
  for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
}

/**
 * Runs a scenario without register and with it: what it came to both times, and what register has counted. With register
 * no file stays open.
 * @template T
 * @param {() => Promise<T>} scenario
 */
async function both(scenario) {
  const plain = await scenario();
  // What Node has left open, and will for ever.
  const before = new Set(await settledFiles());
  const { result, counts } = await hooked(async () => {
    const came = await scenario();
    await until(() => filesOpen().every((fd) => before.has(fd)), 'every file to be closed');
    return came;
  });
  return { plain, ours: result, counts };
}

/**
 * The value of `look` once it stays the same while others have gone through libuv's pool and the event loop many times:
 * what was on its way has come by then.
 */
async function settled(look, what) {
  let last;
  let same = 0;
  await until(async () => {
    await fs.promises.stat(root);
    const now = String(look());
    same = now === last ? same + 1 : 0;
    last = now;
    return same > 20;
  }, what);
  return look();
}

const settledFiles = () => settled(filesOpen, 'files to be opened or closed no more');

/** Nothing more is noted, and no file is opened or closed any more. */
const quiet = (state) => settled(() => `${state.seen.length} ${filesOpen()}`, 'quiet');

module.exports = { serve, over, quiet, both, filesOpen, settledFiles };
