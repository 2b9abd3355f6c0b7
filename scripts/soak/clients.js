'use strict';

/** The client's side of a plan: one connection, every byte compared as it comes, and left as the plan has it. */

const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const { createGunzip } = require('node:zlib');
const { HttpClient } = require('../../__test__/http-reader');
const { Expected } = require('./content');
const { rangesOf } = require('./plan');

/** A plan's request, as it travels to the server. */
const encode = ({ kind, timeout, destroyAfter }, request) =>
  Buffer.from(JSON.stringify({ request, kind, timeout, destroyAfter })).toString('base64url');

/** What clients have open: once they are through, the server must not have to wait for any of it. @type {Set<any>} */
const opened = new Set();

/** @param {any} connection */
function track(connection) {
  opened.add(connection);
  connection.once('close', () => opened.delete(connection));
  return connection;
}

/** Ends whatever is still open. */
function closeAll() {
  for (const connection of opened) connection.destroy();
}

/** Reads nothing for a moment after so many bytes. */
const SLOW_EVERY = 100_000;
const SLOW_MS = 3;

/**
 * Leaves a connection as the plan has it, once so many bytes have come.
 * @param {any} fault
 * @param {{ end: () => void, reset: () => void, pause: () => void, half: () => void }} ways
 */
function leaving(fault, ways) {
  let left = false;
  return (bytes) => {
    if (!fault || left || bytes < fault.at) return left;
    left = true;
    if (fault.kind === 'fin') ways.end();
    if (fault.kind === 'rst') ways.reset();
    if (fault.kind === 'half') ways.half();
    if (fault.kind === 'silence') ways.pause();
    return left;
  };
}

/** Whoever is silent goes once the server has had its time to end the transfer. */
const SILENCE_MS = 1500;

/** Ways to leave for a bare socket. @param {net.Socket} socket */
const bareWays = (socket) => ({
  end: () => socket.destroy(),
  // A unix socket has no RST.
  reset: () => (socket.remoteFamily ? socket.resetAndDestroy() : socket.destroy()),
  half: () => socket.end(),
  pause: () => {
    socket.pause();
    setTimeout(() => socket.destroy(), SILENCE_MS);
  },
});

/**
 * What came of a connection: the bytes that came are `right` and `whole`, or not.
 * @typedef {{ right: boolean, whole: boolean, bytes: number, wrong?: string, error?: string }} Outcome
 */

/** The bytes of a stream, compared with what is expected; resolves once it is over. */
function compare(plan, stream, expected, leave) {
  return new Promise((resolve) => {
    let since = 0;
    let error;
    leave(0);
    stream.on('data', (chunk) => {
      expected.take(chunk);
      if (leave(expected.at) || !plan.slow) return;
      since += chunk.length;
      if (since < SLOW_EVERY) return;
      since = 0;
      stream.pause();
      setTimeout(() => stream.resume(), SLOW_MS);
    });
    stream.on('error', (reason) => {
      error ??= reason;
    });
    // A side that reads nothing any more never sees the end by itself: it is the connection's close that tells.
    stream.once('close', () => resolve(error));
  });
}

/** @returns {Promise<Outcome>} */
async function bare(plan, address) {
  const [request] = plan.requests;
  const expected = new Expected(rangesOf(request.ops));
  const socket = track(net.connect({ ...address, allowHalfOpen: true }));
  const leave = leaving(plan.fault, bareWays(socket));
  socket.once('end', () => socket.end());
  socket.once('connect', () => socket.write(`${encode(plan, request)}\n`));
  const error = await compare(plan, socket, expected, leave);
  return outcome(expected, error);
}

const outcome = (expected, error) => ({
  right: expected.isRight,
  whole: expected.isWhole,
  bytes: expected.at,
  ...(!expected.isRight && { wrong: `from ${expected.wrongAt} of ${expected.total} on: ${expected.wrong}` }),
  ...(error && { error: error.code ?? error.message }),
});

/** A keep-alive connection with all its requests sent at once. @returns {Promise<Outcome>} */
async function pipelined(plan, address) {
  const socket = track(net.connect(address));
  const leave = leaving(plan.fault, bareWays(socket));
  const gone = new Promise((resolve) => socket.once('close', resolve));
  let bytes = 0;
  let since = 0;
  const pace = async (from) => {
    if (leave(bytes) && plan.fault.kind === 'silence') {
      await gone;
      return null;
    }
    if (plan.slow && since > SLOW_EVERY) {
      since = 0;
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    }
    const chunk = from.read();
    bytes += chunk?.length ?? 0;
    since += chunk?.length ?? 0;
    return chunk;
  };
  const client = new HttpClient(socket, pace);
  for (const request of plan.requests) client.send(`/${encode(plan, request)}`, request.method);
  let right = true;
  let whole = true;
  let wrong;
  let body = 0;
  try {
    for (const request of plan.requests) {
      const response = await client.response(request.method);
      if (response === null) {
        whole = false;
        break;
      }
      const expected = new Expected(request.method === 'HEAD' ? [] : rangesOf(request.ops));
      expected.take(response.body);
      body += response.body.length;
      if (!expected.isRight || (response.whole && !expected.isWhole) || response.status !== 200) {
        right = false;
        wrong = `request ${request.id}: status ${response.status}, ${expected.at} of ${expected.total} bytes, wrong from ${expected.wrongAt} on: ${expected.wrong}`;
      }
      if (!right || !response.whole) {
        whole = false;
        break;
      }
    }
  } catch (error) {
    // In the middle of a head: the connection has ended there. Anything else is no HTTP.
    whole = false;
    if (!/the connection ended/.test(error.message)) {
      right = false;
      wrong = error.message;
    }
  }
  const { error } = client;
  client.destroy();
  return { right, whole, bytes: body, wrong, ...(error && { error: error.code ?? error.message }) };
}

/** One request by Node's own client. @returns {Promise<Outcome>} */
function single(plan, address) {
  const [request] = plan.requests;
  const expected = new Expected(rangesOf(request.ops));
  const module = plan.kind === 'https' ? https : http;
  return new Promise((resolve) => {
    const req = track(
      module.get({
        ...address,
        path: `/${encode(plan, request)}`,
        agent: false,
        rejectUnauthorized: false,
      }),
    );
    const leave = () =>
      leaving(plan.fault, {
        end: () => req.destroy(),
        // TLS has no RST of its own to give.
        reset: () => (req.socket && !req.socket.encrypted ? req.socket.resetAndDestroy() : req.destroy()),
        half: () => req.destroy(),
        pause: () => {
          req.res.pause();
          // A response that has come whole and was not read does not end with its request.
          setTimeout(() => req.destroy().res.destroy(), SILENCE_MS);
        },
      });
    req.on('error', (error) => resolve(outcome(expected, error)));
    req.on('response', async (res) => {
      let body = res;
      if (plan.kind === 'gzip') {
        body = res.pipe(createGunzip());
        res.on('error', (error) => body.destroy(error));
        res.on('aborted', () => body.destroy());
      }
      resolve(outcome(expected, await compare(plan, body, expected, leave())));
    });
  });
}

/** @returns {Promise<Outcome>} */
function overHttp2(plan, { host, port }) {
  const [request] = plan.requests;
  const expected = new Expected(rangesOf(request.ops));
  return new Promise((resolve) => {
    const session = track(http2.connect(`http://${host}:${port}`));
    session.on('error', () => {});
    const stream = session.request({ ':path': `/${encode(plan, request)}` });
    const leave = leaving(plan.fault, {
      end: () => session.destroy(),
      reset: () => stream.close(http2.constants.NGHTTP2_CANCEL),
      half: () => stream.destroy(),
      pause: () => {
        stream.pause();
        setTimeout(() => session.destroy(), SILENCE_MS);
      },
    });
    compare(plan, stream, expected, leave).then((error) => {
      session.close();
      resolve(outcome(expected, error));
    });
    stream.once('close', () => session.close());
  });
}

/**
 * @param {any} plan
 * @param {any} addresses
 * @returns {Promise<Outcome>}
 */
function connect(plan, addresses) {
  if (plan.kind === 'http') return pipelined(plan, addresses.http);
  if (plan.kind === 'https') return single(plan, addresses.https);
  if (plan.kind === 'gzip') return single(plan, addresses.http);
  if (plan.kind === 'http2') return overHttp2(plan, addresses.http2);
  return bare(plan, addresses[plan.kind === 'unix' ? 'unix' : 'tcp']);
}

module.exports = { connect, closeAll };
