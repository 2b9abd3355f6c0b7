'use strict';

/**
 * Child process: a contender's loop over one connection. Says `{ port }`, then for each line `file bytes passBytes` sends
 * so much and says what it took, once the reader has confirmed the last byte.
 */

const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const readline = require('node:readline');
const { waitWritable } = require('../..');

const [, , contender, host] = process.argv;
const { pass } = require(contender);

const connected = (async () => {
  const server = net.createServer().listen(0, host);
  await once(server, 'listening');
  console.log(JSON.stringify({ port: server.address().port }));
  const [socket] = await once(server, 'connection');
  server.close();
  return socket;
})();

async function round(file, bytes, passBytes) {
  const socket = await connected;
  const { fd: out } = socket._handle;
  const fd = fs.openSync(file, 'r');
  const { size } = fs.fstatSync(fd);
  let waits = 0;
  const writable = () => {
    waits++;
    return waitWritable(out);
  };
  const answer = once(socket, 'data');
  const cpu = process.cpuUsage();
  const began = performance.now();
  for (let at = 0; at < bytes; at += passBytes) await pass(out, fd, at % size, passBytes, writable);
  await answer;
  const wallUs = (performance.now() - began) * 1000;
  const { user, system } = process.cpuUsage(cpu);
  fs.closeSync(fd);
  return { cpuUs: user + system, wallUs, waits };
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const [file, bytes, passBytes] = line.split(' ');
  console.log(JSON.stringify(await round(file, Number(bytes), Number(passBytes))));
});
lines.on('close', () => process.exit());
