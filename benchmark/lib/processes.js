'use strict';

/**
 * Processes of the benchmark: pinned to a core, ended with this one, and measured from outside, as the kernel has them
 * in /proc: a server's CPU time is that of all its processes.
 */

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const readline = require('node:readline');

const has = (tool) => spawnSync('which', [tool], { stdio: 'ignore' }).status === 0;
const TASKSET = has('taskset') && os.availableParallelism() > 1;
const SETPRIV = has('setpriv');
/** The server's core, and the one of everything else. */
const SERVER_CORE = 0;
const LOAD_CORE = 1;
const TICK_MS = 1000 / Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout || 100);

const running = new Set();
process.on('exit', () => {
  // Not SIGKILL: nginx has a worker to end.
  for (const each of running) each.child.kill('SIGTERM');
});

/** This process, and what it starts without being told a core, leaves the server's core alone. */
function stepAside() {
  if (TASKSET) spawnSync('taskset', ['-cp', String(LOAD_CORE), String(process.pid)], { stdio: 'ignore' });
}

/**
 * Starts a program. It gets the end of its stdin, and SIGTERM by the kernel, if this process ends in whatever way.
 * @param {string[]} command
 * @param {object} [how]
 * @param {number} [how.core]
 * @param {number} [how.user] a uid and gid
 * @param {string} [how.netns] a network namespace
 * @param {string} [how.cwd]
 */
function launch(command, { core, user, netns, cwd } = {}) {
  const line = [
    ...(netns ? ['ip', 'netns', 'exec', netns] : []),
    ...(SETPRIV ? ['setpriv', '--pdeathsig', 'TERM'] : []),
    ...(user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups']),
    ...(core !== undefined && TASKSET ? ['taskset', '-c', String(core)] : []),
    ...command,
  ];
  const env = { ...process.env, NODE_ENV: 'production' };
  const child = spawn(line[0], line.slice(1), { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  return new Program(child, command[0]);
}

/** A child that may be talked to: lines in, a line of JSON out for each. */
class Program {
  constructor(child, name) {
    this.child = child;
    this.pid = child.pid;
    this.name = name;
    this.complaints = '';
    this.lines = [];
    this.waiting = [];
    running.add(this);
    child.stdin.on('error', () => {}); // it has ended: its exit tells
    child.stderr.setEncoding('utf8').on('data', (text) => {
      this.complaints = (this.complaints + text).slice(-2000);
    });
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      const next = this.waiting.shift();
      if (next) next.resolve(line);
      else this.lines.push(line);
    });
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.complaints += error.message;
        this.over(resolve);
      });
      child.once('close', (code, signal) => {
        this.code = code ?? signal;
        this.over(resolve);
      });
    });
  }

  over(resolve) {
    running.delete(this);
    this.gone = new Error(`${this.name} ended (${this.code ?? 'not started'}): ${this.complaints.trim()}`);
    for (const { reject } of this.waiting.splice(0)) reject(this.gone);
    resolve();
  }

  /** Says a line, if there is one, and gives the next answer. */
  async ask(line) {
    if (line !== undefined) this.child.stdin.write(`${line}\n`);
    if (this.lines.length > 0) return JSON.parse(this.lines.shift());
    if (this.gone) throw this.gone;
    return JSON.parse(await new Promise((resolve, reject) => this.waiting.push({ resolve, reject })));
  }

  async stop(signal = 'SIGTERM') {
    if (this.gone) return;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 3000);
    await this.ended;
    clearTimeout(timer);
  }
}

/** Waits until a program has a handler for a signal, or has ended: before that the signal would just end it. */
async function catches(program, signal) {
  const bit = 1n << BigInt(os.constants.signals[signal] - 1);
  while (!program.gone) {
    const mask = /^SigCgt:\t([0-9a-f]+)/m.exec(read(`/proc/${program.pid}/status`))?.[1] ?? '0';
    if (BigInt(`0x${mask}`) & bit) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A process and all that it has started. */
function family(pid) {
  const found = [pid];
  for (const each of found) {
    for (const task of list(`/proc/${each}/task`)) {
      const children = read(`/proc/${each}/task/${task}/children`).split(' ').filter(Boolean);
      found.push(...children.map(Number));
    }
  }
  return found;
}

function list(directory) {
  try {
    return fs.readdirSync(directory);
  } catch {
    return []; // it ended meanwhile
  }
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/**
 * CPU time that a family has used, in ms: `exact` is the scheduler's, of the threads that live; `ticks` has those that
 * have ended too, but counts in steps of 10 ms.
 */
function cpuOf(pid) {
  let [exact, ticks] = [0, 0];
  for (const each of family(pid)) {
    for (const task of list(`/proc/${each}/task`)) {
      exact += Number(read(`/proc/${each}/task/${task}/schedstat`).split(' ')[0] || 0) / 1e6;
    }
    const fields = read(`/proc/${each}/stat`).split(') ').at(-1).split(' ');
    if (fields.length > 13) ticks += (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }
  return { exact, ticks };
}

/** CPU time between two looks, in ms. */
function cpuBetween(before, after) {
  const [exact, ticks] = [after.exact - before.exact, after.ticks - before.ticks];
  // Far behind the ticks: threads have ended and taken their count with them.
  return exact < ticks - 3 * TICK_MS ? ticks : exact;
}

/** Memory of a family that is in RAM, in bytes. */
function rssOf(pid) {
  let pages = 0;
  for (const each of family(pid)) pages += Number(read(`/proc/${each}/statm`).split(' ')[1] || 0);
  return pages * 4096;
}

/** Waits until a server does nothing any more: what a round has left must not be in the next one. */
async function atRest(pid) {
  const end = performance.now() + 2000;
  for (let last = cpuOf(pid); performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 15));
    const now = cpuOf(pid);
    if (now.exact - last.exact < 1) return;
    last = now;
  }
}

/** A port that nobody listens on. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The connections of a process's network: `{ local, remote, state, toSend, toRead }`, ports and bytes. */
function connectionsOf(pid) {
  const lines = read(`/proc/${pid}/net/tcp`).split('\n').slice(1, -1);
  return lines.map((line) => {
    const [, local, remote, state, queues] = line.trim().split(/\s+/);
    const [toSend, toRead] = queues.split(':').map(hex);
    return { local: hex(local.split(':')[1]), remote: hex(remote.split(':')[1]), state, toSend, toRead };
  });
}

const hex = (text) => Number.parseInt(text, 16);
const LISTEN = '0A';

/** Waits until a program listens on this port. */
async function listening(program, port) {
  const end = performance.now() + 15_000;
  while (!connectionsOf(program.pid).some(({ local, state }) => local === port && state === LISTEN)) {
    if (program.gone) throw program.gone;
    if (performance.now() > end) throw new Error(`${program.name} does not listen: ${program.complaints}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

module.exports = {
  has,
  stepAside,
  launch,
  cpuOf,
  cpuBetween,
  family,
  rssOf,
  atRest,
  catches,
  connectionsOf,
  freePort,
  listening,
  SERVER_CORE,
  LOAD_CORE,
  pinned: TASKSET,
};
