'use strict';

/**
 * `npm run test:load [-- --clients N --megabytes N --seconds N]`: many clients that read 10 kB/s for a while and then
 * the rest, and what their downloads do to the server beside them. Each promise that is broken is 1 failed; the last
 * line is `N passed, N failed`.
 *
 * Four processes: this one prints, one serves and measures itself, one is all clients, and one measures itself as the
 * server does and serves nobody: what the machine does to both is no fault of the transfers.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { parseArgs } = require('node:util');

const SAMPLING_MS = 10;
const BYTES_PER_SECOND = 10_000;
/** Reads of one client in a second of its slow time. */
const READS_PER_SECOND = 10;
/** The content repeats after so many bytes: a prime, so that no buffer's or page's size is a multiple of it. */
const PERIOD = 65_521;
/** The most bytes that one read of a socket gives. */
const READ_MAX = 64 * 1024;

/** What is promised: how much longer anything takes than in the process beside. */
const DELAY_MORE_MS = 20;
/** On a machine whose cores are taken, who computes waits longer for one than who sleeps: measured, up to 2.5 times. */
const DELAY_TIMES = 2;
/** Of the engine: two that wait for sockets, and the most that wait for disks. A burst of first opens wants them all. */
const THREADS = 2 + 32;
/** Two cores shared with a thousand clients: a call may wait that much longer for a core. */
const FS_P50_MORE_MS = 1;
const FS_P99_MORE_MS = 20;

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    megabytes: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '10' },
    role: { type: 'string', default: 'main' },
  },
});
const clients = whole('clients');
const size = whole('megabytes') * 1_000_000;
const seconds = whole('seconds');

function whole(name) {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number > 0) return number;
  console.error(`--${name} takes a whole number above 0`);
  process.exit(2);
}

/** The file's content from any place less than PERIOD on, for at least READ_MAX bytes. */
function makePattern() {
  const period = Buffer.alloc(PERIOD);
  let state = 1;
  for (let i = 0; i < PERIOD; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    period[i] = state >>> 16;
  }
  return Buffer.concat([period, period, period]);
}

async function main() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-load-'));
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, makePattern().subarray(0, PERIOD));
  while (fs.statSync(file).size < size) fs.appendFileSync(file, makePattern().subarray(0, PERIOD));
  fs.truncateSync(file, size);

  console.log(
    `${clients} clients, ${size / 1e6} MB each, ${seconds} s at ${BYTES_PER_SECOND / 1000} kB/s, then the rest`,
  );
  const server = start('server');
  server.send({ file });
  const { port } = await message(server);
  const idle = start('server');
  idle.send({ file });
  await message(idle);
  console.log('measuring the server at rest');
  server.send('rest');
  const rest = await message(server);
  const client = start('client');
  for (const one of [server, idle]) one.send('load');
  client.send({ port });
  let done;
  client.on('message', ({ state, result }) => {
    if (state) console.log(state);
    else done = result;
  });
  await once(client, 'exit');
  const [load, beside] = await Promise.all(
    [server, idle].map((one) => {
      one.send('done');
      return message(one);
    }),
  );
  for (const one of [server, idle]) one.disconnect();
  report(rest, load, beside, done ?? { right: 0, wrong: ['the clients ended early'], seconds: 0 });
}

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill();
});

function start(role) {
  const args = Object.entries({ ...values, role }).map(([name, value]) => `--${name}=${value}`);
  const child = fork(__filename, args);
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

/** The next message of a child; a child that ends instead ends this. */
async function message(child) {
  const early = (code) => {
    console.error(`a process of the run ended early, code ${code}`);
    process.exit(1);
  };
  child.once('exit', early);
  const [answer] = await once(child, 'message');
  child.off('exit', early);
  return answer;
}

function report(rest, load, beside, { right, wrong, seconds: took }) {
  const ms = (value) => `${value.toFixed(2)} ms`;
  const rows = [
    [right === clients, 'clients with every byte right', `${right}`, `${clients}`],
    [
      load.delay99 < DELAY_TIMES * beside.delay99 + DELAY_MORE_MS,
      'event loop delay p99',
      ms(load.delay99),
      `< ${DELAY_TIMES} * ${ms(beside.delay99)} beside + ${DELAY_MORE_MS} ms`,
    ],
    [
      load.stat50 < beside.stat50 + FS_P50_MORE_MS,
      'fs.promises.stat p50',
      ms(load.stat50),
      `< ${ms(beside.stat50)} beside + ${FS_P50_MORE_MS} ms`,
    ],
    [
      load.stat99 < beside.stat99 + FS_P99_MORE_MS,
      'fs.promises.stat p99',
      ms(load.stat99),
      `< ${ms(beside.stat99)} beside + ${FS_P99_MORE_MS} ms`,
    ],
    [
      load.threads <= rest.threads + THREADS,
      'threads of the server, at most',
      `${load.threads}`,
      `<= ${rest.threads} at rest + ${THREADS}`,
    ],
    [load.rejected === 0, 'transfers that failed', `${load.rejected}`, '0'],
  ];
  console.log('');
  for (const [ok, what, found, promised] of rows) {
    console.log(`${ok ? 'ok  ' : 'FAIL'}  ${what.padEnd(32)} ${found.padStart(12)}   ${promised}`);
  }
  const rate = (clients * size) / 1e6 / took;
  console.log(
    `      ${'all of it'.padEnd(32)} ${`${took.toFixed(1)} s`.padStart(12)}   ${rate.toFixed(0)} MB/s`,
  );
  console.log(`      ${'at rest'.padEnd(32)} ${ms(rest.delay99).padStart(12)}   event loop delay p99`);
  console.log(
    `      ${'server memory, CPU'.padEnd(32)} ${`${load.rss} MB`.padStart(12)}   ${load.cpu.toFixed(1)} s CPU, ` +
      `${load.transfers} transfers at a time at most`,
  );
  for (const why of new Set(wrong.slice(0, 5))) console.log(`      ${why}`);
  const failed = rows.filter(([ok]) => !ok).length;
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${rows.length - failed} passed, ${failed} failed`);
}

/** Serves the file, and measures the process it runs in. */
async function serve() {
  const { transfer } = require('..');
  const [{ file }] = await once(process, 'message');
  let running = 0;
  let most = 0;
  let rejected = 0;
  const server = http.createServer(async (_req, res) => {
    most = Math.max(most, ++running);
    try {
      await transfer(res, file);
      res.end();
    } catch (error) {
      rejected++;
      if (!res.headersSent) res.writeHead(500).end(error.message);
    } finally {
      running--;
    }
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
    process.send({ port: server.address().port }),
  );

  process.once('disconnect', () => process.exit());
  for (;;) {
    const [what] = await once(process, 'message');
    const measured = measure(file);
    if (what === 'rest') await new Promise((resolve) => setTimeout(resolve, 2000));
    else await once(process, 'message');
    process.send({ ...(await measured()), rejected, transfers: most });
  }
}

/** Begins to measure; what it gives ends that. */
function measure(file) {
  const histogram = monitorEventLoopDelay({ resolution: SAMPLING_MS });
  histogram.enable();
  const times = [];
  let threads = 0;
  let going = true;
  const cpu = process.cpuUsage();
  const loop = (async () => {
    while (going) {
      const began = performance.now();
      await fs.promises.stat(file);
      times.push(performance.now() - began);
      if (times.length % 20 === 0) threads = Math.max(threads, countThreads());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return async () => {
    histogram.disable();
    going = false;
    await loop;
    times.sort((a, b) => a - b);
    const { user, system } = process.cpuUsage(cpu);
    return {
      // The sampling interval itself is no delay.
      delay99: histogram.percentile(99) / 1e6 - SAMPLING_MS,
      stat50: times[Math.floor(times.length * 0.5)],
      stat99: times[Math.floor(times.length * 0.99)],
      threads,
      rss: Math.round(process.memoryUsage.rss() / 1e6),
      cpu: (user + system) / 1e6,
    };
  };
}

/** 0 where the system does not list them. */
function countThreads() {
  try {
    return fs.readdirSync('/proc/self/task').length;
  } catch {
    return 0;
  }
}

/** One download: every byte is compared as it comes. */
class Client {
  /**
   * @param {number} port
   * @param {Buffer} pattern
   * @param {(wrong?: string) => void} done
   */
  constructor(port, pattern, done) {
    this.pattern = pattern;
    this.done = done;
    this.at = -1;
    this.head = Buffer.alloc(0);
    this.settled = false;
    this.socket = net.connect({ host: '127.0.0.1', port });
    this.socket.pause();
    this.socket.write('GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n');
    this.socket.on('error', (error) => this.settle(error.message));
    this.socket.on('end', () =>
      this.settle(this.at === size ? undefined : `${this.at} of ${size} bytes came`),
    );
    this.socket.on('close', () => this.settle('closed without an end'));
  }

  settle(wrong) {
    if (this.settled) return;
    this.settled = true;
    this.socket.destroy();
    this.done(wrong);
  }

  /** A little, if it is there. */
  sip(bytes) {
    const chunk = this.socket.read(Math.min(bytes, this.socket.readableLength || bytes));
    if (chunk !== null) this.take(chunk);
  }

  /** All the rest, as fast as it comes. */
  drain() {
    this.socket.on('data', (chunk) => this.take(chunk));
    this.socket.resume();
  }

  take(chunk) {
    if (this.at >= 0) return this.compare(chunk);
    this.head = Buffer.concat([this.head, chunk]);
    const end = this.head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.head.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 200 ') || !head.includes(`\r\nContent-Length: ${size}`)) {
      return this.settle(`an unexpected head: ${head}`);
    }
    this.at = 0;
    this.compare(this.head.subarray(end + 4));
  }

  compare(chunk) {
    for (let from = 0; from < chunk.length; from += READ_MAX) {
      const part = chunk.subarray(from, from + READ_MAX);
      const place = this.at % PERIOD;
      if (Buffer.compare(part, this.pattern.subarray(place, place + part.length)) !== 0) {
        return this.settle(`a wrong byte after ${this.at}`);
      }
      this.at += part.length;
    }
    if (this.at > size) this.settle('a byte too many');
  }
}

/** All clients. */
async function load() {
  const [{ port }] = await once(process, 'message');
  const pattern = makePattern();
  const wrong = [];
  let right = 0;
  let open = clients;
  const began = performance.now();
  const all = [];
  const over = new Promise((resolve) => {
    const done = (why) => {
      if (why === undefined) right++;
      else wrong.push(why);
      if (--open === 0) resolve();
    };
    const connectSome = () => {
      for (let i = 0; i < 50 && all.length < clients; i++) all.push(new Client(port, pattern, done));
      if (all.length < clients) setTimeout(connectSome, 5);
    };
    connectSome();
  });
  const say = (text) =>
    process.send({ state: `${((performance.now() - began) / 1000).toFixed(1)} s: ${text}` });

  // Not all in one go: in every tick a part of them.
  const parts = 10;
  const tick = 1000 / READS_PER_SECOND / parts;
  const end = began + seconds * 1000;
  for (let turn = 0; performance.now() < end && open > 0; turn++) {
    const due = began + turn * tick;
    for (let i = turn % parts; i < all.length; i += parts) {
      if (!all[i].settled) all[i].sip(BYTES_PER_SECOND / READS_PER_SECOND);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due + tick - performance.now())));
  }
  const bytes = all.reduce((sum, client) => sum + Math.max(0, client.at), 0);
  say(`${all.length} clients have read ${(bytes / 1e6).toFixed(1)} MB slowly, and read the rest now`);
  for (const client of all) client.drain();
  const timer = setInterval(() => say(`${clients - open} clients are done`), 2000);
  await over;
  clearInterval(timer);
  say(`${clients} clients are done`);
  process.send({ result: { right, wrong, seconds: (performance.now() - began) / 1000 } }, () =>
    process.disconnect(),
  );
}

const roles = { main, server: serve, client: load };
roles[values.role]();
