'use strict';

/**
 * Child process: connects where a line tells it to, `host port`, drains the connection as fast as it can, and answers
 * each round's last byte with one of its own: so no other process is between the two at the end of a round. A line that
 * is one number tells how many bytes the next round has, and is answered at once.
 */

const net = require('node:net');
const readline = require('node:readline');

/** Bytes until the end of this round. */
let missing = 0;
let socket;

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [first, port] = line.split(' ');
  if (port === undefined) {
    missing = Number(first);
    console.log('{}');
    return;
  }
  socket?.destroy();
  // One buffer for all reads: no allocation slows the reader down.
  const onread = { buffer: Buffer.alloc(1 << 20), callback: arrived };
  socket = net.connect({ host: first, port: Number(port), onread }, () => console.log('{}'));
});
lines.on('close', () => process.exit());

function arrived(count) {
  missing -= count;
  if (missing === 0) socket.write('.');
}

console.log('{}');
