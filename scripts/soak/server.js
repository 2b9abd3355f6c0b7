'use strict';

/**
 * The server of the soak, in a process of its own: performs the plans that clients bring, tells the other process what
 * came of them, and makes trouble of its own kind meanwhile.
 */

const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const { pipeline } = require('node:stream');
const { createGzip } = require('node:zlib');
const { perform, performCalls, counts } = require('./perform');
const { lengthOf } = require('./plan');
const { startTrouble } = require('./trouble');

/**
 * A transfer that is still there so many turns of a timer after its socket was destroyed has not heard of it. A process
 * that was stopped for as long as all of them makes only one.
 */
const LATE_TURNS = 10;
const LATE_MS = 100;

/** So many collections leave no garbage, with a pause after each. */
const COLLECTIONS = 5;
const COLLECT_MS = 50;

/** A session of HTTP/2 on which nothing has moved for so long is ended. */
const IDLE_MS = 5000;

/** The connections there are, and whose. */
const sockets = new Map();

let running = 0;
let late = 0;

/**
 * Runs a plan to its end and reports it.
 * @param {string} id
 * @param {() => Promise<any[]>} work
 * @param {import('node:net').Socket} socket
 * @param {number} [destroyAfter] milliseconds after which the socket is destroyed under it
 */
async function run(id, work, socket, destroyAfter) {
  running++;
  let timer;
  if (destroyAfter !== undefined) {
    timer = setTimeout(() => {
      socket.destroy();
      let turns = 0;
      timer = setInterval(() => {
        if (++turns === LATE_TURNS) late++;
      }, LATE_MS);
    }, destroyAfter);
  }
  let results;
  try {
    results = await work();
  } catch (error) {
    results = [{ code: error.code ?? String(error.stack), bytes: 0 }];
  }
  running--;
  // Of either kind.
  clearTimeout(timer);
  process.send({ report: id, results });
  return results.every(({ code }) => code === null);
}

/** A plan's request, as the client writes it into the URL. */
const decode = (text) => JSON.parse(Buffer.from(text, 'base64url').toString());

/** @param {any} where */
function makeHandler(where) {
  return async (req, res) => {
    const { request, timeout, kind, destroyAfter } = decode(req.url.slice(1));
    const here = { ...where, timeout };
    req.on('error', () => {});
    res.on('error', () => {});
    if (request.copying) copyChunks(res);
    frame(res, request);
    let out = res;
    if (kind === 'gzip') {
      out = createGzip({ level: 1 });
      pipeline(out, res, () => {});
    }
    const ok = await run(request.id, () => perform(out, request, here), req.socket, destroyAfter);
    if (ok) out.end();
    else res.destroy();
  };
}

/** Somebody between us and the response who takes every chunk for his own. */
function copyChunks(res) {
  const write = res.write;
  res.write = function (chunk, ...rest) {
    return write.call(this, typeof chunk === 'string' ? chunk : Buffer.from(chunk), ...rest);
  };
}

/** Says how long the body is, in one of the ways there are. */
function frame(res, { framing, ops }) {
  const length = lengthOf(ops);
  if (framing === 'set') res.setHeader('Content-Length', length);
  if (framing === 'head') res.writeHead(200, { 'Content-Length': length });
  if (framing === 'chunked' && res.req.httpVersionMajor === 1) res.setHeader('Transfer-Encoding', 'chunked');
}

/** A bare connection brings its plan in its first line. */
function makeListener(where) {
  return (socket) => {
    let text = '';
    socket.on('error', () => {});
    // Whoever leaves before that has none.
    const leave = () => socket.destroy();
    socket.on('end', leave);
    socket.on('data', function hear(chunk) {
      text += chunk;
      if (!text.includes('\n')) return;
      socket.off('data', hear);
      socket.off('end', leave);
      socket.resume();
      const { request, timeout, kind, destroyAfter } = decode(text.trim());
      const here = { ...where, timeout };
      const work = kind === 'call' ? performCalls : perform;
      run(request.id, () => work(socket, request, here), socket, destroyAfter).then((ok) =>
        ok ? socket.end() : socket.destroy(),
      );
    });
  };
}

async function main() {
  const [where] = await new Promise((resolve) => process.once('message', (...all) => resolve(all)));
  const pem = fs.readFileSync(path.join(__dirname, '..', '..', '__test__', 'fixtures', 'localhost.pem'));
  const handler = makeHandler(where);
  const listener = makeListener(where);
  const servers = {
    tcp: net.createServer({ allowHalfOpen: true }, listener),
    unix: net.createServer({ allowHalfOpen: true }, listener),
    http: http.createServer({ keepAliveTimeout: 1000 }, handler),
    https: https.createServer({ key: pem, cert: pem, keepAliveTimeout: 1000 }, handler),
    http2: http2.createServer(handler),
  };
  const addresses = {};
  for (const [name, server] of Object.entries(servers)) {
    server.on('clientError', (_, socket) => socket.destroy());
    server.on('connection', (socket) => {
      sockets.set(socket, name);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('sessionError', () => {});
    // Now and then Node keeps a session whose client has gone, with nothing of ours in it: it has no time-out of its own.
    server.on('session', (session) => session.setTimeout(IDLE_MS, () => session.destroy()));
    const place =
      name === 'unix' ? { path: path.join(where.directory, 'socket') } : { host: '127.0.0.1', port: 0 };
    await new Promise((resolve) => server.listen({ ...place, backlog: 1024 }, resolve));
    const address = server.address();
    addresses[name] =
      typeof address === 'string' ? { path: address } : { host: '127.0.0.1', port: address.port };
  }
  let trouble = startTrouble(where);
  process.on('message', async ({ what }) => {
    if (what === 'rest') {
      const told = await trouble.stop();
      process.send({ measured: await measure(), trouble: told });
    } else if (what === 'go on') trouble = startTrouble(where);
    else process.exit();
  });
  process.send({ addresses });
}

/** What is open, once nobody wants anything any more. */
async function measure() {
  // What has been let go of may take a turn to be closed, and idle threads a few seconds to leave.
  const end = Date.now() + 15_000;
  while (Date.now() < end && (running > 0 || threads().crew > 0 || sockets.size > 0)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  let memory = Infinity;
  let rss = Infinity;
  for (let i = 0; i < COLLECTIONS; i++) {
    global.gc?.();
    // What it frees on its own threads is still counted in this turn.
    await new Promise((resolve) => setTimeout(resolve, COLLECT_MS));
    const now = process.memoryUsage();
    memory = Math.min(memory, now.heapUsed + now.external);
    rss = Math.min(rss, now.rss);
  }
  return {
    running,
    late,
    fds: tally(descriptors()),
    threads: threads().all,
    handles: tally(process.getActiveResourcesInfo()),
    sockets: tally([...sockets.values()]),
    rss,
    memory,
    ...counts,
  };
}

/** What each open descriptor is. */
function descriptors() {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const name = fs.readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/g, 'N');
      // What libuv keeps in reserve for accept: the one at first, the other once it was needed.
      return name === '/' ? ['/dev/null'] : [name];
    } catch {
      return []; // the one by which the directory was read
    }
  });
}

/** How many of each there are. @param {string[]} names */
function tally(names) {
  const counts = /** @type {Record<string, number>} */ ({});
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function threads() {
  const names = fs.readdirSync('/proc/self/task').map((id) => {
    try {
      return fs.readFileSync(`/proc/self/task/${id}/comm`, 'utf8');
    } catch {
      return ''; // it has just ended
    }
  });
  return { all: names.length, crew: names.filter((name) => name.startsWith('sendfile-crew')).length };
}

main();
