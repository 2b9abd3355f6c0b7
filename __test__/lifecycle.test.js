'use strict';

/**
 * Threads, workers and processes that come and go: nothing crashes, nothing is left over, nothing ends too early or
 * stays too long.
 */

const { spawn } = require('node:child_process');
const { getEventListeners, once, setMaxListeners } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { transfer } = require('..');
const { openFds, pattern, readAll, root, runInChild, socketPair, tmpFile, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { nodeOptions } = require('./ways');

const large = tmpFile(64 * 1024 * 1024);
const small = tmpFile(pattern(1000, 2));
const env = { LARGE: large, SMALL: small };
const turn = () => new Promise(setImmediate);

/** A program of its own that this test talks to: its first line of output is the port that it listens on. */
async function program(text) {
  const child = spawn(process.execPath, ['-e', text], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: nodeOptions, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  ended.then(() => clearTimeout(timer));
  const [first] = await once(child.stdout, 'data');
  return { port: Number(first), ended, rest: readAll(child.stdout) };
}

describe('worker threads', () => {
  test('20 workers ended in the middle of their transfers do no harm', async () => {
    const { code, signal, stdout, stderr } = await runInChild(
      `
      const net = require('node:net');
      const { once } = require('node:events');
      const { Worker } = require('node:worker_threads');
      const text = \`
        const { transfer } = require('.');
        const { parentPort } = require('node:worker_threads');
        const server = require('node:net').createServer((socket) => {
          transfer(socket, process.env.LARGE).catch(() => {});
          transfer(socket, process.env.SMALL).catch(() => {});
        });
        server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
      \`;
      (async () => {
        for (let round = 0; round < 20; round++) {
          const worker = new Worker(text, { eval: true });
          const [port] = await once(worker, 'message');
          const clients = [];
          for (let i = 0; i < 5; i++) clients.push(net.connect(port, '127.0.0.1').on('error', () => {}));
          for (const client of clients) {
            await once(client, 'readable');
            client.read(1 + round * 1000);
          }
          await worker.terminate();
          for (const client of clients) {
            client.resume();
            if (!client.closed) await once(client, 'close');
          }
        }
        console.log('20 rounds');
      })();
      `,
      { env },
    );
    expect({ code, signal, stdout, stderr }).toEqual({
      code: 0,
      signal: null,
      stdout: '20 rounds\n',
      stderr: '',
    });
  });

  test('workers that end by themselves, with the main thread sending all the while', async () => {
    const { code, signal, stdout, stderr } = await runInChild(
      `
      const { transfer } = require('.');
      const net = require('node:net');
      const fs = require('node:fs');
      const { once } = require('node:events');
      const { Worker } = require('node:worker_threads');
      const text = \`
        const { transfer } = require('.');
        const { workerData } = require('node:worker_threads');
        const socket = require('node:net').connect(workerData, '127.0.0.1');
        transfer(socket, process.env.SMALL).then(() => socket.end());
      \`;
      const server = net.createServer(async (socket) => {
        let bytes = 0;
        for await (const chunk of socket) bytes += chunk.length;
        console.log(bytes);
      });
      server.listen(0, '127.0.0.1', async () => {
        const { port } = server.address();
        const own = net.connect(port, '127.0.0.1');
        const sent = transfer(own, process.env.LARGE).then(() => own.end());
        const workers = [];
        for (let i = 0; i < 4; i++) workers.push(once(new Worker(text, { eval: true, workerData: port }), 'exit'));
        await Promise.all([sent, ...workers]);
        server.close();
      });
      `,
      { env },
    );
    const lines = stdout.trim().split('\n').map(Number);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(lines.sort((a, b) => a - b)).toEqual([1000, 1000, 1000, 1000, 64 * 1024 * 1024]);
  });

  test('the package may be loaded in a worker alone', async () => {
    const result = await runInChild(
      `
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(\`
        const { transfer, support } = require('.');
        const net = require('node:net');
        const server = net.createServer((socket) => transfer(socket, process.env.LARGE).then(() => socket.end()));
        server.listen(0, '127.0.0.1', () => {
          let bytes = 0;
          net.connect(server.address().port, '127.0.0.1')
            .on('data', (chunk) => { bytes += chunk.length; })
            .on('end', () => { console.log(support.available, bytes); server.close(); });
        });
      \`, { eval: true });
      worker.on('exit', (code) => console.log('exit', code));
      `,
      { env },
    );
    expect(result).toEqual({ code: 0, signal: null, stdout: 'true 67108864\nexit 0\n', stderr: '' });
  });
});

/** A child that runs `then` once its transfer to a client that does not read is under way. */
const midTransfer = (then) =>
  runInChild(
    `
    const { transfer } = require('.');
    const net = require('node:net');
    const server = net.createServer((socket) => transfer(socket, process.env.LARGE).catch(() => {}));
    server.listen(0, '127.0.0.1', () => {
      net.connect(server.address().port, '127.0.0.1').once('readable', () => { ${then} });
    });
    `,
    { env },
  );

describe('the end of a process', () => {
  test('process.exit() in the middle of a transfer', async () => {
    const { code, signal, stderr } = await midTransfer('process.exit(7)');
    expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: '' });
  });

  test('an uncaught exception in the middle of a transfer', async () => {
    const { code, signal, stderr } = await midTransfer("throw new Error('mine')");
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain('Error: mine');
  });

  test('process.exit() in a listener of the transfer itself', async () => {
    const { code, signal, stderr } = await runInChild(
      `
      const { transfer } = require('.');
      const net = require('node:net');
      const server = net.createServer((socket) => transfer(socket, process.env.LARGE, {
        onProgress: () => process.exit(5),
      }));
      server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1').resume());
      `,
      { env },
    );
    expect({ code, signal, stderr }).toEqual({ code: 5, signal: null, stderr: '' });
  });

  test('comes by itself once nothing is pending', async () => {
    const { code, stdout, stderr } = await runInChild(
      `
      const { transfer, sendfile, waitWritable } = require('.');
      const fs = require('node:fs');
      const net = require('node:net');
      const server = net.createServer(async (socket) => {
        await transfer(socket, process.env.LARGE);
        await transfer(socket, process.env.SMALL, { timeout: 60_000, onProgress() {} });
        await waitWritable(socket._handle.fd, { timeout: 60_000 });
        const fd = fs.openSync(process.env.SMALL);
        await sendfile(socket._handle.fd, fd, 0, null);
        fs.closeSync(fd);
        console.log('done');
        socket.end();
        server.close();
      });
      server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1').resume());
      `,
      { env, timeout: 20_000 },
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'done\n', stderr: '' });
  });

  test('waits for a transfer, even if its socket does not keep the process alive', async () => {
    const { port, ended, rest } = await program(`
      const { transfer } = require('.');
      const server = require('node:net').createServer((socket) => {
        server.close();
        socket.unref();
        transfer(socket, process.env.LARGE).then((bytes) => console.log(bytes));
      });
      server.listen(0, '127.0.0.1', () => console.log(server.address().port));
    `);
    const client = net.connect({ host: '127.0.0.1', port });
    const received = await readAll(client);
    expect(received.equals(fs.readFileSync(large))).toBe(true);
    expect(await ended).toEqual([0, null]);
    expect((await rest).toString()).toBe(`${received.length}\n`);
  });
});

describe('what is left', () => {
  /** Kinds of things that keep a process alive, counted. */
  function active() {
    const counts = {};
    for (const kind of process.getActiveResourcesInfo()) {
      if (kind !== 'Immediate' && kind !== 'Timeout') counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  }

  test('after 300 downloads that were broken off: no descriptor, no listener, no handle', async () => {
    const control = new AbortController();
    setMaxListeners(0, control.signal);
    const results = [];
    const { port } = await httpServer((_req, res) => {
      results.push(
        transfer(res, large, { signal: control.signal, timeout: 60_000, onProgress() {} }).catch(
          ({ code }) => code,
        ),
      );
    });
    const round = async (count) => {
      const clients = Array.from({ length: count }, () => connect(port));
      for (const client of clients) client.send('/');
      await Promise.all(clients.map((client) => client.fill()));
      for (const [index, client] of clients.entries()) {
        if (index % 2) client.socket.resetAndDestroy();
        else client.destroy();
      }
      await Promise.all(clients.map(({ socket }) => socket.closed || once(socket, 'close')));
    };
    await round(2);
    await Promise.all(results);
    const before = { fds: openFds().size, active: active() };
    for (let i = 0; i < 6; i++) await round(50);
    const codes = await Promise.all(results);
    expect(new Set(codes)).toEqual(new Set(['ERR_STREAM_PREMATURE_CLOSE']));
    expect(codes).toHaveLength(302);
    expect(getEventListeners(control.signal, 'abort')).toHaveLength(0);
    await until(() => openFds().size <= before.fds, 'the descriptors');
    const isMore = ([kind, count]) => count > (before.active[kind] ?? 0);
    await until(() => !Object.entries(active()).some(isMore), 'the handles');
  });

  test('after transfers that were aborted, on a socket that lives on', async () => {
    const { near, far } = await socketPair();
    const count = () =>
      Object.fromEntries(near.eventNames().map((name) => [String(name), near.listenerCount(name)]));
    await transfer(near, small);
    const before = { listeners: count(), fds: openFds().size };
    for (let i = 0; i < 300; i++) {
      const control = new AbortController();
      near.cork();
      const sent = transfer(near, fs.openSync(small), { signal: control.signal });
      control.abort();
      await expect(sent).rejects.toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
      near.uncork();
    }
    expect(near.destroyed).toBe(false);
    near.end('!');
    const received = await readAll(far);
    expect(received.length).toBe(1001);
    expect(count()).toEqual(expect.objectContaining(before.listeners));
    for (const [fd, what] of openFds()) if (what === small) fs.closeSync(fd);
    expect(openFds().size).toBeLessThanOrEqual(before.fds);
    near.destroy();
    far.destroy();
  });

  test('200 slow downloads at a time need no thread each', async () => {
    const threads = () => fs.readdirSync('/proc/self/task').length;
    const before = threads();
    const results = [];
    const { port } = await httpServer((_req, res) => {
      results.push(transfer(res, large).then(() => res.end()));
    });
    const clients = Array.from({ length: 200 }, () => connect(port));
    for (const client of clients) client.send('/');
    await Promise.all(clients.map((client) => client.fill()));
    for (let i = 0; i < 20; i++) await turn();
    // Two that wait for sockets, and the most that wait for disks: the opens of one moment may want them all.
    expect(threads() - before).toBeLessThanOrEqual(2 + 32);
    const expected = fs.readFileSync(large);
    for (const client of clients.slice(0, 3))
      expect((await client.response()).body.equals(expected)).toBe(true);
    for (const result of results) result.catch(() => {});
    for (const client of clients) client.destroy();
    expect((await Promise.allSettled(results)).filter(({ status }) => status === 'fulfilled')).toHaveLength(
      3,
    );
  });
});
