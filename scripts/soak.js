'use strict';

/**
 * `npm run soak [-- --seconds 120 --clients 24 --seed N]`: everything at once against one server: sockets, HTTP/1.1,
 * TLS, HTTP/2, compression, raw calls; clients that leave in every way, files that shrink or lose their name,
 * descriptors that are closed at once and run out, workers that are ended. Every byte is compared; at the end nothing
 * may be left open. The last line is `N passed, N failed`.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { closeAll, connect } = require('./soak/clients');
const { bytesOf } = require('./soak/content');
const { judge } = require('./soak/judge');
const { DECOY_SEED, SIZES, draw } = require('./soak/plan');
const { Random } = require('./soak/random');
const { printTable } = require('./soak/table');

/** Descriptors that the server may have: so many that it works, so few that they can all be taken. */
const SERVER_FDS = 1000;
/** After this a connection is taken for one that hangs. */
const PATIENCE_MS = 30_000;
const WARM_UP = 0.2;
/** What is wrong is told so often at the most. */
const COMPLAINTS_MAX = 10;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    clients: { type: 'string', default: '24' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
  },
});

const tally = {
  connections: 0,
  transfers: 0,
  completed: 0,
  bytes: 0,
  /** By what the plan had. */
  faults: /** @type {Record<string, number>} */ ({}),
  /** By what the transfers ended with. */
  codes: /** @type {Record<string, number>} */ ({}),
  wrong: /** @type {string[]} */ ([]),
  hung: 0,
  storms: 0,
};

/** What the server has told of each request. */
const reports = new Map();
const waiting = new Map();
let storming = false;

async function main() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-soak-'));
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  const where = prepare(directory);
  const server = start();
  once(server, 'exit').then(([code, signal]) => {
    fail(`the server ended: ${signal ?? code}`);
  });
  server.on('message', hear);
  server.send(where);
  const { addresses } = await answer(server, 'addresses');
  const seconds = Number(values.seconds);
  console.log(`seed ${values.seed}, ${values.clients} connections at a time, ${seconds} s`);

  const random = new Random(Number(values.seed));
  const before = await phase(server, random, addresses, seconds * WARM_UP, 'warming up');
  server.send({ what: 'go on' });
  const after = await phase(server, random, addresses, seconds * (1 - WARM_UP), 'soaking');
  server.removeAllListeners('exit');
  server.send({ what: 'exit' });
  const troubles = [before.trouble, after.trouble];
  process.exitCode = printTable(tally, before.measured, after.measured, troubles) ? 0 : 1;
}

/** @returns {never} */
function fail(text) {
  console.error(text);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

/** The files, and one that nobody should ever see. */
function prepare(directory) {
  const files = SIZES.map((size, i) => {
    const file = path.join(directory, `file-${i}`);
    fs.writeFileSync(file, bytesOf(i + 1, 0, size));
    return file;
  });
  const decoy = path.join(directory, 'decoy');
  fs.writeFileSync(decoy, bytesOf(DECOY_SEED, 0, 8 << 20));
  return { files, decoy, directory };
}

function start() {
  const script = path.join(__dirname, 'soak', 'server.js');
  // The shell sets the limit and becomes Node.
  const child = fork(script, {
    execPath: '/bin/sh',
    execArgv: ['-c', `ulimit -n ${SERVER_FDS} && exec "$0" --expose-gc "$@"`, process.execPath],
  });
  process.on('exit', () => child.kill());
  return child;
}

function hear(message) {
  if (message.storm !== undefined) {
    storming = message.storm;
    if (storming) tally.storms++;
  }
  if (message.report === undefined) return;
  reports.set(message.report, message.results);
  waiting.get(message.report)?.();
}

async function answer(server, field) {
  for (;;) {
    const [message] = await once(server, 'message');
    if (message[field] !== undefined) return message;
  }
}

/** Connections for so many seconds, then a look at what is left. */
async function phase(server, random, addresses, seconds, name) {
  const end = performance.now() + seconds * 1000;
  const progress = showProgress(name, end);
  const worker = async () => {
    while (performance.now() < end) await one(random, addresses);
  };
  await Promise.all(Array.from({ length: Number(values.clients) }, worker));
  progress();
  closeAll();
  server.send({ what: 'rest' });
  return answer(server, 'measured');
}

let lastId = 0;

async function one(random, addresses) {
  const plan = draw(random, ++lastId);
  let stormy = storming;
  const storms = tally.storms;
  const { outcome, timer } = await bounded(connect(plan, addresses));
  if (outcome) {
    const free = plan.fault === null;
    const told = free && outcome.whole ? Promise.all(plan.requests.map(({ id }) => reported(id))) : soon();
    await Promise.race([told, timer]);
  }
  stormy ||= storming || storms !== tally.storms;
  count(plan, outcome, stormy);
}

/** A moment in which a report that is on its way arrives; those that never come are not waited for. */
const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

function reported(id) {
  if (reports.has(id)) return Promise.resolve();
  return new Promise((resolve) => waiting.set(id, resolve));
}

/** Its outcome, or null if it hangs. */
async function bounded(promise) {
  let stop;
  const timer = new Promise((resolve) => {
    stop = setTimeout(() => resolve(null), PATIENCE_MS);
  });
  const outcome = await Promise.race([promise, timer]);
  clearTimeout(stop);
  return { outcome, timer: new Promise((resolve) => setTimeout(resolve, 5000).unref()) };
}

function count(plan, outcome, stormy) {
  tally.connections++;
  const add = (record, key) => {
    record[key] = (record[key] ?? 0) + 1;
  };
  if (plan.fault) add(tally.faults, `client: ${plan.fault.kind}`);
  if (plan.destroyAfter !== undefined) add(tally.faults, 'server: destroy');
  for (const { id, ops } of plan.requests) {
    for (const op of ops) {
      if (op.abortAfter !== undefined) add(tally.faults, 'signal');
      if (op.shrinkAfter !== undefined) add(tally.faults, 'file shrinks');
      if (op.unlinked) add(tally.faults, 'file deleted');
      if (op.way === 'fd' || op.way === 'handle') add(tally.faults, 'fd closed at once');
    }
    for (const { code } of reports.get(id) ?? []) {
      tally.transfers++;
      if (code === null) tally.completed++;
      else add(tally.codes, code);
    }
  }
  if (outcome) {
    tally.bytes += outcome.bytes;
    const wrong = judge(plan, outcome, reports, stormy);
    if (wrong.length > 0) complain(plan, `${wrong.join('; ')}${stormy ? '; descriptors ran out' : ''}`);
  } else {
    tally.hung++;
    const told = plan.requests.map(({ id }) => reports.get(id) ?? null);
    complain(plan, `hangs; the server says ${JSON.stringify(told)}${stormy ? '; descriptors ran out' : ''}`);
  }
  for (const { id } of plan.requests) {
    reports.delete(id);
    waiting.delete(id);
  }
}

/** Said at once, with all that is needed to look into it. */
function complain(plan, why) {
  tally.wrong.push(`${plan.kind} ${plan.id}: ${why}`);
  if (tally.wrong.length <= COMPLAINTS_MAX)
    console.log(`\nWRONG ${plan.kind} ${plan.id}: ${why}\n${JSON.stringify(plan)}`);
}

/** A line that tells how far it is: rewritten on a terminal, now and then elsewhere. */
function showProgress(name, end) {
  const { isTTY } = process.stdout;
  const line = () => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    const text =
      `${name}: ${left} s left, ${tally.connections} connections, ${tally.transfers} transfers, ` +
      `${(tally.bytes / 1e9).toFixed(2)} GB compared, ${tally.wrong.length} wrong`;
    process.stdout.write(isTTY ? `\r${text}\x1b[K` : `${text}\n`);
  };
  const timer = setInterval(line, isTTY ? 200 : 5000);
  return () => {
    clearInterval(timer);
    line();
    if (isTTY) process.stdout.write('\n');
  };
}

main();
