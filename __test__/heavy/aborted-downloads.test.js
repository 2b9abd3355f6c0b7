'use strict';

/** 10,000 downloads that are broken off, by either side, in every way and at any place: the server is as it was. */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { root, tmpFile } = require('../helpers');

const SIZE = 24 << 20;
const LANES = 50;
const MiB = 1 << 20;

const file = tmpFile('');
fs.truncateSync(file, SIZE);

/** Numbers by chance, but the same in every run. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
}

/** One download; resolves once its connection is closed. */
function download(port, random) {
  const way = ['/fd', '/path', '/chunked', '/copy'][random(4)];
  // Nothing, something, what the socket holds, much.
  const place = [0, random(1000), random(MiB), random(4 * MiB)][random(4)];
  const how = ['reset', 'end', 'close', 'server'][random(4)];
  const target = how === 'server' ? `${way}?after=${place + 1}` : way;
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let bytes = 0;
    const leave = () => {
      if (how === 'reset') socket.resetAndDestroy();
      else if (how === 'end') socket.end().destroy();
      else if (how === 'close') socket.destroy();
    };
    socket.on('connect', () => {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, () => {
        if (place === 0) leave();
      });
    });
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes >= place) leave();
    });
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}

async function downloads(port, count, seed) {
  let left = count;
  const random = chance(seed);
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await download(port, random);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

test('10,000 downloads that are broken off', async () => {
  const server = fork(path.join(root, '__test__', 'fixtures', 'download-server.js'), [file], {
    execArgv: ['--expose-gc'],
  });
  try {
    const [port] = await once(server, 'message');
    const measure = async (when) => {
      server.send(when);
      return (await once(server, 'message'))[0];
    };
    await downloads(port, 200, 1);
    const warm = await measure('idle');
    await downloads(port, 4800, 2);
    const half = await measure('now');
    await downloads(port, 5000, 3);
    const end = await measure('idle');

    expect(end).toMatchObject({ open: 0, pending: 0 });
    const { ERR_STREAM_PREMATURE_CLOSE: left, sent = 0 } = end.results;
    // Those that left before their request had come are no transfers; a small number was sent whole all the same.
    expect(Object.keys(end.results).sort()).toEqual(expect.arrayContaining(['ERR_STREAM_PREMATURE_CLOSE']));
    expect(
      Object.keys(end.results).filter((code) => !/^(sent|ERR_STREAM_PREMATURE_CLOSE)$/.test(code)),
    ).toEqual([]);
    expect(left + sent).toBeGreaterThan(8000);
    expect(left).toBeGreaterThan(7000);
    for (const then of [half, end]) {
      expect(then.fds).toBeLessThanOrEqual(warm.fds);
      expect(then.active).toEqual(warm.active);
    }
    expect(end.threads).toBeLessThanOrEqual(warm.threads);
    const growth = end.rss - half.rss;
    expect(growth).toBeLessThan(Math.max(8 * MiB, half.rss - warm.rss));
  } finally {
    server.kill();
  }
});
