'use strict';

/** Are the bytes right? Asked once of each server before it is measured. */

const fs = require('node:fs');
const http = require('node:http');

/** What has come on a connection before. */
const counted = new WeakMap();

/** One answer: `{ status, body, wire }`; `wire` is what it took on the connection, head and framing included. */
function get(agent, port, place, headers) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: `/${place}`, agent, headers, timeout: 10_000 };
    const req = http.get(options, (res) => {
      const { socket } = res;
      const before = counted.get(socket) ?? 0;
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => {
        const wire = socket.bytesRead - before;
        counted.set(socket, socket.bytesRead);
        resolve({ status: res.statusCode, body: Buffer.concat(chunks), wire });
      });
      res.on('error', reject);
    });
    req.on('timeout', () => req.destroy(new Error('no answer in 10 s')));
    req.on('error', reject);
  });
}

/**
 * Throws if a server's answer is not the file, or this range of it. Gives the length of one answer on the connection.
 * @param {number} port
 * @param {string} file
 * @param {string} place the file's path for the server
 * @param {{ start: number, end: number }} [range] both of them in it
 */
async function check(port, file, place, range) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const { start, end } = range ?? { start: 0, end: fs.statSync(file).size - 1 };
  const expected = Buffer.alloc(end - start + 1);
  const fd = fs.openSync(file, 'r');
  fs.readSync(fd, expected, 0, expected.length, start);
  fs.closeSync(fd);
  const headers = range ? { range: `bytes=${start}-${end}` } : {};
  try {
    // The second of two on one connection: so it is what the load will meet.
    await get(agent, port, place, headers);
    const { status, body, wire } = await get(agent, port, place, headers);
    if (status !== (range ? 206 : 200)) throw new Error(`answers ${status}`);
    if (!body.equals(expected)) throw new Error(`${body.length} bytes came, and they are not the file's`);
    return wire;
  } finally {
    agent.destroy();
  }
}

module.exports = { check };
