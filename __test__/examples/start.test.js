'use strict';

/** scripts/example.js itself. */

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { listen, root, until } = require('../helpers');
const { expectBytes } = require('../streams');
const { endAll, get, makeSite, startExample } = require('./example');

const NAMES = ['http', 'express', 'koa', 'fastify', 'download', 'ftp', 'cluster'];
const HELPERS = ['download-client'];

function run(...args) {
  const script = path.join(root, 'scripts', 'example.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { timeout: 20_000 });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

const listed = (text) => [...text.matchAll(/^ {2}(\w+) +\S.*$/gm)].map(([, name]) => name);

const groups = new Set();

afterEach(async () => {
  await endAll();
  for (const group of groups) {
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  }
  groups.clear();
});

test('without a name it lists them with a line each', () => {
  const { status, stdout, stderr } = run();
  expect([status, stderr, listed(stdout)]).toEqual([0, '', NAMES]);
});

test('a wrong name is an error, and lists them', () => {
  for (const name of ['nonsense', 'toString', '../scripts/start']) {
    const { status, stdout, stderr } = run(name);
    expect([status, stdout, listed(stderr)]).toEqual([2, '', NAMES]);
    expect(stderr).toContain(`no example: ${name}\n`);
  }
});

test('every program in examples/ is in the list', () => {
  const programs = fs
    .readdirSync(path.join(root, 'examples'))
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -3));
  expect(programs.sort()).toEqual([...NAMES, ...HELPERS].sort());
});

test.each([['--port', 'x'], ['--nonsense'], ['no-such-directory'], ['.', '.']])(
  'arguments that make no sense: %s %s',
  (...args) => {
    const { status, stderr } = run('ftp', ...args);
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/usage: npm run example -- ftp \[dir\] \[--port N\] /),
    ]);
  },
);

test.each([['express'], ['koa'], ['ftp'], ['cluster'], ['download']])(
  '%s says so if the port is in use',
  async (name) => {
    const server = net.createServer();
    const port = await listen(server);
    const { status, stdout, stderr } = await new Promise((resolve) => {
      const script = path.join(root, 'scripts', 'example.js');
      const child = spawn(process.execPath, [script, name, '--port', String(port)], { timeout: 20_000 });
      const output = { stdout: '', stderr: '' };
      child.stdout.on('data', (text) => (output.stdout += text));
      child.stderr.on('data', (text) => (output.stderr += text));
      child.on('close', (code) => resolve({ status: code, ...output }));
    });
    server.close();
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`Port ${port} is in use; choose another one with --port N.\n`);
  },
);

test('it listens on 127.0.0.1 alone', async () => {
  const example = await startExample('ftp');
  const socket = net.connect({ host: '127.0.0.2', port: example.port });
  const [error] = await once(socket, 'error');
  expect(error.code).toBe('ECONNREFUSED');
  expect(await example.stop('SIGINT')).toEqual({ code: 0, signal: null });
});

test('npm run example: a directory is meant from where the user stands; it ends with npm', async () => {
  const site = makeSite();
  const npm = spawn('npm', ['--prefix', root, 'run', 'example', '--', 'cluster', '.', '--port', '0'], {
    cwd: site.directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true, // a group of its own, which goes with the test
  });
  groups.add(npm.pid);
  let text = '';
  npm.stdout.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  await until(() => /127\.0\.0\.1:\d+/.test(text), 'its line');
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(text)[1]);
  const { body } = await get(port, '/README.md');
  expectBytes(body, site.readme);
  npm.kill('SIGTERM');
  await until(
    () =>
      get(port, '/README.md').then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    'its end',
  );
});
