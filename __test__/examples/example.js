'use strict';

/** Examples as users start them, `node scripts/example.js NAME`, and what users do then. */

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { pattern, readAll, root, tmpPath } = require('../helpers');

const LIMIT_MS = 20_000;
/** More than the buffers of a connection hold. */
const BIG = 64 << 20;

/**
 * A directory to serve: README.md, big.bin, sub/inner.txt, a hidden file, and a link and a FIFO that nobody may get at.
 * @returns {{ directory: string, readme: Buffer, inner: Buffer }}
 */
function makeSite() {
  const directory = tmpPath('site');
  fs.mkdirSync(path.join(directory, 'sub'), { recursive: true });
  fs.mkdirSync(path.join(directory, 'trap'));
  const readme = pattern(300_000, 81);
  const inner = pattern(5000, 82);
  fs.writeFileSync(path.join(directory, 'README.md'), readme);
  fs.writeFileSync(path.join(directory, 'sub', 'inner.txt'), inner);
  fs.writeFileSync(path.join(directory, '.hidden'), 'hidden');
  fs.writeFileSync(path.join(directory, 'big.bin'), '');
  fs.truncateSync(path.join(directory, 'big.bin'), BIG);
  const secret = tmpPath('secret');
  fs.writeFileSync(secret, 'secret');
  fs.symlinkSync(secret, path.join(directory, 'link.txt'));
  fs.symlinkSync(secret, path.join(directory, 'trap', 'index.html'));
  spawnSync('mkfifo', [path.join(directory, 'fifo')]);
  return { directory, readme, inner };
}

const running = new Set();

/** A test that fails must not leave an example to the next. */
async function endAll() {
  await Promise.all(
    [...running].map((child) => {
      child.kill('SIGKILL');
      return once(child, 'close');
    }),
  );
}

// The files go here: a process of jest's hears no 'exit', and these are large.
afterAll(async () => {
  await endAll();
  fs.rmSync(path.dirname(tmpPath()), { recursive: true, force: true });
});

/**
 * Starts an example and waits for its line. `said(text)` waits for more of its output; `temp` is where
 * it may put what nobody should find afterwards; `stop()` ends it as a service
 * manager does; `ended()` waits until it has ended by itself.
 */
async function startExample(name, args = []) {
  const temp = tmpPath('temp');
  fs.mkdirSync(temp);
  const child = spawn(
    process.execPath,
    [path.join(root, 'scripts', 'example.js'), name, '--port', '0', ...args],
    {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: '', TMPDIR: temp },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  running.add(child);
  const output = { stdout: '', stderr: '' };
  const closed = once(child, 'close').finally(() => running.delete(child));
  for (const kind of ['stdout', 'stderr']) {
    child[kind].setEncoding('utf8').on('data', (text) => {
      output[kind] += text;
      child.emit('said');
    });
  }
  const gone = closed.then(([code, signal]) => {
    throw new Error(`${name} ended: ${signal ?? code}\n${output.stdout}${output.stderr}`);
  });
  gone.catch(() => {});

  async function said(wanted) {
    const limit = AbortSignal.timeout(LIMIT_MS);
    for (;;) {
      const match = wanted.exec(output.stdout);
      if (match) return match;
      await Promise.race([once(child, 'said', { signal: limit }), gone]);
    }
  }

  const [, port] = await said(/127\.0\.0\.1:(\d+)\/.*\n/);
  return {
    child,
    output,
    temp,
    said,
    port: Number(port),
    command: /try: (curl .*)\n/.exec(output.stdout)?.[1],
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return this.ended();
    },
    async ended() {
      const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
      const [code, by] = await closed;
      clearTimeout(timer);
      return { code, signal: by };
    },
  };
}

/** Runs a command line in a shell and a directory of its own: what came on stdout, or else into its `-o` file. */
async function runLine(line) {
  const cwd = tmpPath('cwd');
  fs.mkdirSync(cwd);
  const child = spawn('/bin/sh', ['-c', line], { cwd, timeout: LIMIT_MS, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([
    readAll(child.stdout),
    readAll(child.stderr),
    once(child, 'close'),
  ]);
  const file = / -o (\S+)/.exec(line)?.[1];
  const bytes = file && fs.existsSync(path.join(cwd, file)) ? fs.readFileSync(path.join(cwd, file)) : stdout;
  return { code, bytes, stderr: stderr.toString() };
}

const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** The very line that an example printed; on a machine without curl its URL by Node, for HTTP alone. */
async function tryCommand(command) {
  if (hasCurl) {
    const { code, bytes, stderr } = await runLine(command);
    if (code !== 0) throw new Error(`${command}: ${code}\n${stderr}`);
    return bytes;
  }
  if (command.includes('ftp://')) throw new Error(`no curl on this machine, which speaks FTP: ${command}`);
  process.stderr.write(`no curl on this machine: not run, but fetched by Node: ${command}\n`);
  const url = /\S+$/.exec(command)[0];
  const [res] = await once(http.get(url, { agent: false }), 'response');
  return readAll(res);
}

/**
 * A client that has begun to download, and takes no more once so many bytes of the body are there.
 * @returns {Promise<{ status: string, socket: net.Socket }>}
 */
async function begin(port, target, bytes = 1) {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
  let got = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    got = Buffer.concat([got, chunk]);
    const body = got.indexOf('\r\n\r\n') + 4;
    if (body > 3 && got.length >= body + bytes) break;
  }
  socket.pause();
  return { status: got.toString('latin1').split('\r\n', 1)[0], socket };
}

/** One request with its target exactly as it is given: `{ status, headers, body }`. */
function get(port, target, headers = {}, method = 'GET') {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: target, method, headers, agent: false };
    const req = http.request(options, (res) => {
      readAll(res).then((body) => resolve({ status: res.statusCode, headers: res.headers, body }), reject);
    });
    req.setTimeout(LIMIT_MS, () => req.destroy(new Error(`${target}: no answer`)));
    req.on('error', reject);
    req.end();
  });
}

/** The files below `directory` that a process or one of its children has open. Linux only. */
function openFiles(pid, directory) {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? [];
  return [pid, ...children].flatMap((one) =>
    fs.readdirSync(`/proc/${one}/fd`).flatMap((fd) => {
      try {
        const file = fs.readlinkSync(`/proc/${one}/fd/${fd}`);
        return file.startsWith(directory) ? [file] : [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
}

/** Whether a process runs: one that has ended and waits for its parent does not. Linux only. */
function isAlive(pid) {
  const status = fs.existsSync(`/proc/${pid}`) && fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return status && !/^State:\s+[ZX]/m.test(status);
}

module.exports = {
  begin,
  endAll,
  get,
  hasCurl,
  isAlive,
  makeSite,
  openFiles,
  runLine,
  startExample,
  tryCommand,
};
