'use strict';

/**
 * Child process: for each line `{ port, path, size }` one download. It walks over the body, chunked or not, and compares
 * the stamp of each MiB: `{ ms, wrong }`.
 */

const net = require('node:net');
const readline = require('node:readline');
const { MIB, STAMP, stampOf } = require('../lib/data');

const buffer = Buffer.alloc(MIB);

function download({ port, path, size }) {
  return new Promise((resolve) => {
    const began = performance.now();
    let head = '';
    let body = null;
    const done = (wrong) => {
      socket.destroy();
      resolve({ ms: performance.now() - began, wrong });
    };
    const callback = (count) => {
      let from = 0;
      if (body === null) {
        head += buffer.latin1Slice(0, count);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return true;
        if (!head.startsWith('HTTP/1.1 200 ')) return done(`an unexpected head: ${head.slice(0, 100)}`);
        body = new Body(size, /^transfer-encoding: chunked/im.test(head.slice(0, end)));
        from = count - (head.length - end - 4);
      }
      body.take(buffer.subarray(from, count));
      if (body.wrong || body.at >= size) done(body.wrong);
      return true;
    };
    const socket = net.connect({ port, host: '127.0.0.1', onread: { buffer, callback } });
    socket.write(`GET /${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
    socket.on('error', (error) => done(error.message));
    socket.on('end', () => done(`${body?.at ?? 0} of ${size} bytes came`));
  });
}

/** The body as it comes. */
class Body {
  constructor(size, chunked) {
    this.chunked = chunked;
    this.left = chunked ? 0 : size; // of this chunk
    this.line = '';
    this.at = 0;
    this.wrong = undefined;
  }

  take(bytes) {
    for (let i = 0; i < bytes.length && !this.wrong; ) {
      if (this.left > 0) {
        const piece = bytes.subarray(i, i + this.left);
        this.compare(piece);
        this.left -= piece.length;
        this.at += piece.length;
        i += piece.length;
      } else if (this.chunked) {
        this.line += String.fromCharCode(bytes[i++]);
        const match = /^(?:\r\n)?([0-9a-f]+)\r\n$/i.exec(this.line);
        if (!match) continue;
        this.left = Number.parseInt(match[1], 16);
        this.line = '';
      } else {
        this.wrong = 'more bytes came than were asked for';
      }
    }
  }

  /** What of a stamp is in this piece. */
  compare(piece) {
    for (let mib = Math.floor(this.at / MIB); mib * MIB < this.at + piece.length; mib++) {
      const from = Math.max(mib * MIB, this.at);
      const to = Math.min(mib * MIB + STAMP, this.at + piece.length);
      if (from >= to) continue;
      const stamp = stampOf(mib).subarray(from - mib * MIB, to - mib * MIB);
      if (!piece.subarray(from - this.at, to - this.at).equals(stamp)) {
        this.wrong = `a wrong byte in MiB ${mib}`;
      }
    }
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => console.log(JSON.stringify(await download(JSON.parse(line)))));
lines.on('close', () => process.exit());
