'use strict';

/**
 * A server that runs as a user who neither owns nor may write its files, as most do: Linux does not tell it what of them
 * is in memory. It serves them all the same, small and large, from memory and from the disk.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pattern, runInChild, tmpFile } = require('./helpers');
const { told, way } = require('./ways');

const SIZES = [1000, 64 * 1024, 1 << 20, 5 << 20];
const NOBODY = 65534;

/** Only root can give up being root; everywhere else this file says so. */
const asRoot = process.platform === 'linux' && process.getuid() === 0;
const served = asRoot
  ? test
  : (name) => {
      const why = `needs root on Linux to become another user; this is uid ${process.getuid?.()} on ${process.platform}`;
      process.stderr.write(`left out: ${name}: ${why}\n`);
      test.skip(`${name} (${why})`, () => {});
    };

/** Has a file's pages written and given back: the next to read it waits for the disk. */
function cool(file) {
  execFileSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
}

const program = `
  const { execFileSync } = require('node:child_process');
  const fs = require('node:fs');
  const http = require('node:http');
  const { subscribe } = require('node:diagnostics_channel');
  const { transfer } = require('.');
  const { FILES } = process.env;
  const files = JSON.parse(FILES);
  const contents = files.map((file) => fs.readFileSync(file));
  if (process.env.COLD) for (const file of files) execFileSync('dd', ['of=' + file, 'oflag=nocache', 'conv=notrunc', 'count=0', 'status=none']);
  process.setgroups([]);
  process.setgid(${NOBODY});
  process.setuid(${NOBODY});
  let refused = 0;
  for (const file of files) {
    try {
      fs.closeSync(fs.openSync(file, 'r+'));
    } catch ({ code }) {
      if (code === 'EACCES') refused++;
    }
  }
  const seen = [];
  subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ method, reason, bytes }) => seen.push({ method, reason, bytes }));
  const server = http.createServer(async (req, res) => {
    const index = Number(req.url.slice(2));
    await transfer(res, req.url[1] === 'p' ? files[index] : fs.openSync(files[index]));
    res.end();
  });
  const get = (port, path) => new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', path, agent: false }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => resolve(Buffer.concat(chunks)));
    }).on('error', reject);
  });
  server.listen(0, '127.0.0.1', async () => {
    const { port } = server.address();
    const whole = [];
    for (const kind of 'pf') {
      for (let i = 0; i < files.length; i++) whole.push((await get(port, '/' + kind + i)).equals(contents[i]));
    }
    // The last handler may still be at its end.
    server.close(() => console.log(JSON.stringify({ refused, whole, seen, uid: process.getuid() })));
  });
`;

async function serve(cold) {
  const files = SIZES.map((size) => tmpFile(pattern(size, size)));
  // The others' folder is this user's alone.
  fs.chmodSync(path.dirname(files[0]), 0o755);
  for (const file of files) {
    fs.chmodSync(file, 0o644);
    cool(file);
    if (!cold) fs.readFileSync(file);
  }
  const env = { FILES: JSON.stringify(files), COLD: cold ? '1' : '' };
  const { stdout, stderr } = await runInChild(program, { env });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

/** A small file in memory is read without waiting and written at once, since nobody may say that it is there. */
const small = way === 'sendfile' ? { method: 'copy', reason: 'preferred' } : told;

served(
  'files that are in memory are served: a small one by reading, a larger one by the kernel',
  async () => {
    const { refused, whole, seen, uid } = await serve(false);
    expect({ refused, uid }).toEqual({ refused: SIZES.length, uid: NOBODY });
    expect(whole).toEqual(Array(2 * SIZES.length).fill(true));
    const expected = SIZES.map((bytes) => ({ bytes, ...(bytes <= 64 * 1024 ? small : told) }));
    expect(seen).toEqual([...expected, ...expected]);
  },
);

served('files that have to be fetched from the disk are served', async () => {
  const { refused, whole, seen, uid } = await serve(true);
  expect({ refused, uid }).toEqual({ refused: SIZES.length, uid: NOBODY });
  expect(whole).toEqual(Array(2 * SIZES.length).fill(true));
  // Whether a small one is there again by the time that it is sent is the disk's affair.
  expect(seen.filter(({ bytes }) => bytes > 64 * 1024)).toEqual(
    [...SIZES, ...SIZES].filter((bytes) => bytes > 64 * 1024).map((bytes) => ({ bytes, ...told })),
  );
});
