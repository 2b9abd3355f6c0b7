'use strict';

/**
 * The same exchange through `send` and through `rs-sendfile/send`: what the client got, and what the program saw in
 * which order.
 */

const fs = require('node:fs');
const path = require('node:path');
const { subscribe, unsubscribe } = require('node:diagnostics_channel');
const { createRequire } = require('node:module');
const send1 = require('send');
const { sendOver } = require('../lib/send');
const { pattern, tmpPath, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { expectBytes } = require('./streams');

/** Express 4 brings one of the versions before 1. */
const send0 = createRequire(require.resolve('express-4'))('send');

/** `[version, its plain send, ours over it]`: for `describe.each`. */
const versions = [send1, send0].map((plain) => {
  const from = plain === send1 ? require : createRequire(require.resolve('express-4'));
  return [`send ${from('send/package.json').version}`, plain, sendOver(plain)];
});

/** A directory of files to ask for. */
const root = tmpPath('public');

const small = pattern(20_011, 3);
const large = pattern(6_000_000, 4);
/** Far more than a socket takes, with the piece that is queued for it. */
const huge = pattern(40_000_000, 7);
for (const [name, content] of Object.entries({
  'huge.bin': huge,
  'small.bin': small,
  'large.bin': large,
  'picture.png': small,
  'empty.bin': '',
  'one.bin': 'x',
  'text.txt': 'text\n'.repeat(1000),
  'page.html': '<p>page',
  '.hidden': 'hidden',
  'sub/index.html': '<p>index',
  'sub/.dots/file.txt': 'in dots',
  'named like this é.txt': 'its name',
})) {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), content);
}
// Heads of two exchanges must be the same, whenever the files were made.
const then = new Date('2020-02-02T02:02:02Z');
for (const name of fs.readdirSync(root)) fs.utimesSync(path.join(root, name), then, then);

/** Writes down the events of an emitter. */
function record(emitter, names, note) {
  const { emit } = emitter;
  emitter.emit = (event, ...args) => {
    if (names.includes(event)) note(event, ...args);
    return emit.call(emitter, event, ...args);
  };
}

const SENDING = ['file', 'headers', 'stream', 'end', 'directory', 'error'];
const STREAM = ['open', 'ready', 'end', 'close', 'error'];
const RESPONSE = ['pipe', 'unpipe', 'prefinish', 'finish', 'close', 'error'];

/** How an event reads in the record. */
function shown(event, ...args) {
  const [first] = args;
  if (event === 'error') return `error ${first.status ?? ''} ${first.code ?? ''} ${first.syscall ?? ''}`;
  if (event === 'file' || event === 'directory')
    return `${event} ${args.find((arg) => typeof arg === 'string')}`;
  return event === 'stream' ? `stream ${first.constructor.name} ${first.path}` : event;
}

/** Transfers that began while `run` ran. */
async function transfersOf(run) {
  const begun = [];
  const onStart = (message) => begun.push(message);
  subscribe('tracing:rs-sendfile:transfer:start', onStart);
  try {
    return [await run(), begun];
  } finally {
    unsubscribe('tracing:rs-sendfile:transfer:start', onStart);
  }
}

/**
 * @param {Function} send
 * @param {object} exchange
 * @param {string} [exchange.url]
 * @param {string} [exchange.method]
 * @param {string[]} [exchange.headers]
 * @param {object} [exchange.options] for `send`
 * @param {(sending: any, res: any, note: (what: string) => void) => void} [exchange.listen] before it is piped
 * @param {(res: any, req: any) => any} [exchange.prepare] before `send` is called; may take its time
 * @param {(client: any, server: { res: any, stream: any }) => Promise<any>} [exchange.read] instead of one response
 * @param {string[]} [exchange.only] what of the record is the same whatever the luck
 */
async function play(send, exchange) {
  const { url = '/small.bin', method = 'GET', headers = [], options, listen, prepare, read, only } = exchange;
  const seen = [];
  const server = { res: null, stream: null, closed: false };
  const { port } = await httpServer(async (req, res) => {
    res.sendDate = false;
    if (req.url === '/again') return res.end('again');
    server.res = res;
    res.once('close', () => {
      server.closed = true;
    });
    await prepare?.(res, req);
    record(res, RESPONSE, (event) => seen.push(`response ${event}`));
    const sending = send(req, req.url, { root, ...options });
    record(sending, SENDING, (event, ...args) => {
      seen.push(shown(event, ...args));
      if (event !== 'stream') return;
      [server.stream] = args;
      // By listeners: a stream whose `emit` is replaced is left to Node.
      for (const name of STREAM) {
        server.stream.on(name, (...rest) => seen.push(`the stream's ${shown(name, ...rest)}`));
      }
    });
    listen?.(sending, res, (what) => seen.push(what));
    sending.pipe(res);
  });
  const client = connect(port);
  client.send(url, method, headers);
  const got = await (read ?? whole)(client, server, method);
  await until(() => server.closed, "the response's 'close'");
  if (server.stream) await until(() => server.stream.closed, "the stream's 'close'");
  await new Promise(setImmediate);
  return { got, seen: only ? seen.filter((event) => only.includes(event)) : seen, server };
}

/** One response and whether the connection goes on after it. */
async function whole(client, _server, method) {
  const response = await client.response(method);
  client.send('/again');
  const again = await client.response();
  return { ...response, again: again?.body.toString() };
}

/** Both ways of an exchange, which must come to the same; gives back what both came to. */
async function expectSame(plain, ours, exchange) {
  const [one, none] = await transfersOf(() => play(plain, exchange));
  const [other, begun] = await transfersOf(() => play(ours, exchange));
  expect(none).toEqual([]);
  const { body: expected, ...head } = one.got ?? {};
  const { body, ...rest } = other.got ?? {};
  expect(rest).toEqual(head);
  if (expected) expectBytes(body, expected);
  expect(other.seen).toEqual(one.seen);
  return { ...one, transfers: begun.length };
}

/** A body went by transfers, whichever way those go. */
function expectTaken({ transfers }, taken = true) {
  expect(transfers > 0).toBe(taken);
}

module.exports = { versions, root, small, large, huge, play, expectSame, expectTaken, transfersOf };
