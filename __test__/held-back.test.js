'use strict';

/** What a connection that goes on holds on to of what has been sent by it: nothing. */

const fs = require('node:fs');
const http = require('node:http');
const { transfer } = require('..');
const { collect, pattern, tmpFile, until } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { hooked } = require('./piped');

const file = tmpFile(pattern(1000));
const large = tmpFile(pattern(3_000_000));

async function byFd(res) {
  const fd = fs.openSync(file);
  await transfer(res, fd).finally(() => fs.closeSync(fd));
  res.end();
}

const givers = {
  'a small file by path': (res) => transfer(res, file).then(() => res.end()),
  'a large file by path': (res) => transfer(res, large).then(() => res.end()),
  'a file by fd': byFd,
  'a stream under register': (res) => fs.createReadStream(file).pipe(res),
};

/** Not one of them can be reached any more. */
const areGone = (refs) =>
  until(() => {
    collect();
    return refs.every((ref) => ref.deref() === undefined);
  }, 'them to be collected');

test.each(Object.keys(givers))('an idle connection, of the response of %s', async (name) => {
  const refs = [];
  const { port } = await httpServer((req, res) => {
    refs.push(new WeakRef(req), new WeakRef(res));
    givers[name](res);
  });
  const clients = [1, 2, 3].map(() => connect(port));
  await hooked(async () => {
    for (const client of clients) {
      client.send('/');
      expect((await client.response()).status).toBe(200);
    }
    expect(refs).toHaveLength(6);
    await areGone(refs);
  });
  // They are idle, and not closed.
  for (const client of clients) expect(client.socket.destroyed).toBe(false);
});

test('an idle connection of an agent, of the request that was sent', async () => {
  const { port } = await httpServer((req, res) => req.resume().on('end', () => res.end()));
  const agent = new http.Agent({ keepAlive: true });
  const refs = [];
  const upload = async () => {
    const req = http.request({ agent, port, host: '127.0.0.1', method: 'PUT' });
    refs.push(new WeakRef(req));
    const answered = new Promise((resolve, reject) => {
      req.on('error', reject).on('response', (res) => res.resume().on('close', resolve));
    });
    await transfer(req, file);
    req.end();
    await answered;
  };
  for (let i = 0; i < 3; i++) await upload();
  await areGone(refs);
  expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
  agent.destroy();
});
