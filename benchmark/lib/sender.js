'use strict';

/** Child process: the server's side of the connection, alone in its process so that the CPU time is its own. */

const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const path = require('node:path');

let socket;
const server = net.createServer((connection) => {
  socket = connection;
  process.send({ connected: true });
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));

process.on('message', async ({ contender, file, bytes, passBytes }) => {
  const pass = require(path.join(__dirname, '..', 'contenders', contender));
  const fd = fs.openSync(file, 'r');
  const { size } = fs.fstatSync(fd);
  const passes = bytes / passBytes;
  const answer = once(socket, 'data');
  const cpu = process.cpuUsage();
  const started = performance.now();
  let waits = 0;
  for (let i = 0; i < passes; i++) {
    waits += await pass(socket._handle.fd, fd, (i * passBytes) % size, passBytes);
  }
  await answer; // the last byte has arrived
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  fs.closeSync(fd);
  process.send({
    cpuPerPass: (user + system) / passes,
    rate: bytes / ms / 1000,
    waitsPerPass: waits / passes,
  });
});

process.on('disconnect', () => process.exit());
