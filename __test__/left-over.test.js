'use strict';

/** What an agent's sockets, which live on from request to request, keep of transfers: nothing that grows. */

const { runInChild, tmpFile } = require('./helpers');

const file = tmpFile(300_000);

/** 100 requests over one connection, whose upload and download are transfers; some are aborted before they begin. */
const program = `
  const { createHook } = require('node:async_hooks');
  const http = require('node:http');
  const { once } = require('node:events');
  const { transfer } = require('.');
  const { listen, readAll } = require('./__test__/helpers');
  const file = ${JSON.stringify(file)};
  const version = require('node:fs').readFileSync('/proc/version').length;
  const alive = new Set();
  let made = 0;
  createHook({
    init: (id, type) => { if (type === 'SENDFILE') { made += 1; alive.add(id); } },
    destroy: (id) => alive.delete(id),
  }).enable();
  const listeners = (emitter) =>
    emitter.eventNames().map((name) => String(name) + ' ' + emitter.listenerCount(name)).sort().join();
  const collect = async () => {
    for (let i = 0; i < 10; i++) {
      gc();
      await new Promise(setImmediate);
    }
  };
  (async () => {
    const nears = new Set();
    const server = http.createServer(async (req, res) => {
      nears.add(req.socket);
      await readAll(req);
      await transfer(res, '/no/such/file').catch(() => {});
      await transfer(res, file, { signal: AbortSignal.abort() }).catch(() => {});
      // Its size says nothing: it is copied, and the response is chunked.
      await transfer(res, '/proc/version');
      await transfer(res, file, { signal: new AbortController().signal, timeout: 60_000, onProgress() {} });
      res.end();
    });
    const port = await listen(server);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const fars = new Set();
    const exchange = async () => {
      const req = http.request({ port, host: '127.0.0.1', agent, method: 'PUT' });
      req.on('socket', (socket) => fars.add(socket));
      const answer = once(req, 'response');
      await transfer(req, file);
      req.end();
      const [res] = await answer;
      const body = await readAll(res);
      if (body.length !== 300_000 + version) throw new Error(body.length + ' bytes');
    };
    const state = () => [...nears, ...fars].map((socket) => [listeners(socket), Object.getOwnPropertySymbols(socket).length]);
    for (let i = 0; i < 5; i++) await exchange();
    await collect();
    const before = { alive: alive.size, state: state(), active: process.getActiveResourcesInfo().sort().join() };
    for (let i = 0; i < 100; i++) await exchange();
    await collect();
    const after = { alive: alive.size, state: state(), active: process.getActiveResourcesInfo().sort().join() };
    console.log(JSON.stringify({ made, sockets: nears.size + fars.size, before, after }));
    agent.destroy();
    server.close();
  })();
`;

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux(
  'sockets of an agent keep no listener, no property and no async resource of 100 requests',
  async () => {
    const { code, stdout, stderr } = await runInChild(program, { args: ['--expose-gc'] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { made, sockets, before, after } = JSON.parse(stdout);
    expect({ made, sockets }).toEqual({ made: 105 * 4, sockets: 2 });
    expect(after.state).toEqual(before.state);
    expect(after.active).toBe(before.active);
    // The last of them may be held by the machine's stack.
    expect(after.alive).toBeLessThanOrEqual(4);
  },
);
