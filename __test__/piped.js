'use strict';

/** A ReadStream piped into a response, with the hook of `rs-sendfile/register` and without, and what is seen of both. */

const { register, unregister, stats } = require('../register');
const { connect, httpServer } = require('./http-client');
const { until } = require('./helpers');

// Each test says when it wants it.
unregister();

/** What a stream and a response tell, less what depends on how a file is cut into chunks. */
const OF_STREAM = ['open', 'ready', 'end', 'close', 'error'];
const OF_RESPONSE = ['pipe', 'unpipe', 'prefinish', 'finish', 'close', 'error'];

/** Runs with the hook, and says how the counts have changed meanwhile. */
async function hooked(run) {
  // A stream's end is counted with its 'close': that of a test before must not be in this one's.
  await until(areSettled, 'the ends of all streams');
  const before = stats();
  register();
  try {
    const result = await run();
    return { result, counts: difference(before, stats()) };
  } finally {
    unregister();
  }
}

function areSettled() {
  const { taken, completed, failed } = stats();
  return taken === completed + failed;
}

function difference(before, after) {
  const left = {};
  for (const [reason, count] of Object.entries(after.left)) {
    const more = count - (before.left[reason] ?? 0);
    if (more > 0) left[reason] = more;
  }
  const { taken, completed, failed, bytes } = before;
  return {
    taken: after.taken - taken,
    completed: after.completed - completed,
    failed: after.failed - failed,
    bytes: after.bytes - bytes,
    left,
  };
}

/** Writes down an emitter's events. */
function watch(seen, name, emitter, events) {
  for (const event of events) {
    emitter.on(event, (error) => seen.push(`${name} ${event}${error?.code ? ` ${error.code}` : ''}`));
  }
}

/**
 * One exchange on a connection that has another one after it. `answer(res, watched, req)` makes streams and pipes them;
 * each that it gives to `watched` is written down.
 */
async function exchange(answer, { request = [], method = 'GET', server = {}, last = 'res close' } = {}) {
  const seen = [];
  const streams = [];
  const { port } = await httpServer((req, res) => {
    if (req.url === '/again') return res.end('again');
    res.sendDate = false;
    watch(seen, 'res', res, OF_RESPONSE);
    const watched = (stream, name = 'stream') => {
      streams.push(stream);
      watch(seen, name, stream, OF_STREAM);
      return stream;
    };
    answer(res, watched, req, (what) => void seen.push(what));
  }, server);
  const client = connect(port);
  client.send('/', method, request);
  const response = await client.response(method);
  client.send('/again');
  const again = await client.response();
  await until(() => seen.includes(last), last);
  const isOver = (stream) => stream.closed || stream.autoClose === false;
  await until(() => streams.every(isOver), 'the streams to close');
  await new Promise(setImmediate);
  return {
    seen,
    response: { ...response, again: again?.body.toString() },
    state: streams.map((stream) => ({
      bytesRead: stream.bytesRead,
      destroyed: stream.destroyed,
      ended: stream.readableEnded,
      read: stream.readableDidRead,
      errored: stream.errored?.code,
    })),
  };
}

module.exports = { exchange, hooked, watch, OF_STREAM, OF_RESPONSE };
