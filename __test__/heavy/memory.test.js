'use strict';

/** What a waiting transfer costs in native memory: by what the addon has allocated, since pages tell nothing. */

const { native } = require('../../lib/native');
const { pattern, tmpFile, tmpPath } = require('../helpers');
const { build, withProbes } = require('./probes');

const FEW = 1000;
const MANY = 2000;
/** Tables grow by doubling, so one more transfer may pay for many: the sum is what counts. */
const LIMIT = 1024;

const file = tmpFile(pattern(1_000_000));

beforeAll(build);

test('the addon for users counts nothing and refuses nothing', () => {
  expect(Object.keys(native)).toContain('transfer');
  expect(Object.keys(native)).not.toContain('allocated');
  expect(Object.keys(native)).not.toContain('refuse');
});

/** Bytes with FEW and with MANY waiting transfers, and after the end of all, twice over. */
function measure(serve) {
  return withProbes(
    `
    const fs = require('node:fs');
    const http = require('node:http');
    const net = require('node:net');
    const { once } = require('node:events');
    const { transfer } = require('.');
    const { FILE, SOCKET, FEW, MANY } = process.env;
    const fd = fs.openSync(FILE);
    const nears = new Set();
    let failed = 0;
    const add = (socket) => nears.add(socket.on('error', () => {}).on('close', () => nears.delete(socket)));
    const server = (${serve})().on('connection', add).listen({ path: SOCKET, backlog: 4096 });
    await once(server, 'listening');
    const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
    const until = async (check) => { while (!check()) await turn(); };
    const fars = [];
    async function waiting(count) {
      while (fars.length < count) {
        const far = net.connect(SOCKET).pause().on('error', () => {});
        far.write('GET / HTTP/1.1\\r\\nHost: memory\\r\\n\\r\\n');
        fars.push(far);
        if (fars.length % 100 === 0) await once(far, 'connect');
      }
      let before = -1;
      await until(() => {
        const sent = [...nears].map((socket) => socket.bytesWritten);
        const now = sent.reduce((sum, bytes) => sum + bytes, 0);
        const still = sent.length === count && sent.every((bytes) => bytes > 0) && now === before;
        before = now;
        return still;
      });
      return probes.allocated();
    }
    async function none() {
      for (const far of fars.splice(0)) far.destroy();
      await until(() => nears.size === 0 && failed === Number(MANY) * rounds.length + Number(MANY));
      return probes.allocated();
    }
    const rounds = [];
    for (let i = 0; i < 2; i++) {
      const start = probes.allocated();
      rounds.push({ start, few: await waiting(Number(FEW)), many: await waiting(Number(MANY)), end: await none() });
    }
    say(rounds);
    `,
    { env: { FILE: file, SOCKET: tmpPath('socket'), FEW: `${FEW}`, MANY: `${MANY}` }, timeout: 120_000 },
  );
}

const ways = {
  'a path, to a socket': '() => net.createServer((socket) => transfer(socket, FILE).catch(() => failed++))',
  'an fd, to a socket': '() => net.createServer((socket) => transfer(socket, fd).catch(() => failed++))',
  // With the response's head, which waits with it as long as it has not been sent.
  'a path, to a response': '() => http.createServer((_, res) => transfer(res, FILE).catch(() => failed++))',
};

test.each(Object.entries(ways))(
  '%s: under 1 KiB a waiting transfer, and nothing after it',
  async (_, serve) => {
    const [first, second] = await measure(serve);
    for (const { start, few, many } of [first, second]) {
      expect((few - start) / FEW).toBeLessThan(LIMIT);
      expect((many - few) / (MANY - FEW)).toBeLessThan(LIMIT);
    }
    // What the tables have grown to stays; what was in them does not.
    expect(second.end - first.end).toBeLessThan(LIMIT);
  },
);
