'use strict';

/** Child process: for each line `file bytes calls`, so many calls into /dev/null, and what they took. */

const fs = require('node:fs');
const readline = require('node:readline');
const { sendfileSync } = require('../..');

const sink = fs.openSync('/dev/null', 'w');

function calls(file, bytes, count) {
  const fd = fs.openSync(file, 'r');
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    if (sendfileSync(sink, fd, 0, bytes) !== bytes) throw new Error('a call sent less');
  }
  const wallNs = Number(process.hrtime.bigint() - began);
  const { user, system } = process.cpuUsage(cpu);
  fs.closeSync(fd);
  return { cpuNs: ((user + system) * 1000) / count, wallNs: wallNs / count };
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [file, bytes, count] = line.split(' ');
  console.log(JSON.stringify(calls(file, Number(bytes), Number(count))));
});
lines.on('close', () => process.exit());
console.log('{}');
