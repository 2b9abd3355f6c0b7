'use strict';

/** How `rs-sendfile/register` is loaded, what it says of itself, and how it is taken back. */

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { binaryPath, pattern, root, runInChild, tmpFile } = require('./helpers');
const { onlyBy, told } = require('./ways');

const script = path.join(root, 'register.js');
const bytes = pattern(2_500_000, 4);
const file = tmpFile(bytes);

/** Serves the file by a bare pipe, fetches it, and prints what came and what `register` counted. */
const program = (before = '') => `
  ${before}
  const { createHash } = require('node:crypto');
  const fs = require('node:fs'), http = require('node:http');
  const { subscribe } = require('node:diagnostics_channel');
  const told = [];
  subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ method, reason }) => told.push({ method, reason }));
  const server = http.createServer((req, res) => fs.createReadStream(${JSON.stringify(file)}).pipe(res));
  server.listen(0, '127.0.0.1', () => {
    http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, (res) => {
      const hash = createHash('sha1');
      res.on('data', (chunk) => hash.update(chunk));
      res.on('end', () => {
        const { taken, left } = require(${JSON.stringify(script)}).stats();
        console.log(JSON.stringify({ hash: hash.digest('hex'), taken, left, told }));
        server.close();
      });
    });
  });
`;

const hash = require('node:crypto').createHash('sha1').update(bytes).digest('hex');
const sent = { hash, taken: 1, left: {}, told: [told] };
const [major, minor] = process.versions.node.split('.').map(Number);
const hasImport = major > 20 || (major === 20 && minor >= 6) || (major === 18 && minor >= 19);

async function run(text, options) {
  const { code, stdout, stderr } = await runInChild(text, options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

describe('loaded', () => {
  test('by node -r', async () => {
    expect(await run(program(), { args: ['-r', script] })).toEqual(sent);
  });

  (hasImport ? test : test.skip)(
    `by node --import${hasImport ? '' : ' (this Node has it from 18.19 on)'}`,
    async () => {
      expect(await run(program(), { args: ['--import', pathToFileURL(script).href] })).toEqual(sent);
    },
  );

  test('by the package’s own name', async () => {
    expect(await run(program("require('rs-sendfile/register');"))).toEqual(sent);
  });

  test('after a stream was made, before it is piped', async () => {
    const text = program().replace(
      'fs.createReadStream(',
      `((stream) => (require(${JSON.stringify(script)}), stream))(fs.createReadStream(`,
    );
    expect(await run(text.replace(').pipe(res)', ')).pipe(res)'))).toEqual(sent);
  });

  test('twice, by two copies of the package: each stream is sent once', async () => {
    const second = fs.mkdtempSync(path.join(path.dirname(file), 'copy-'));
    for (const name of ['lib', 'register.js', 'package.json']) {
      fs.cpSync(path.join(root, name), path.join(second, name), { recursive: true });
    }
    fs.copyFileSync(binaryPath(), path.join(second, path.basename(binaryPath())));
    const both = `require(${JSON.stringify(path.join(second, 'register.js'))}); require(${JSON.stringify(script)});`;
    const answer = await run(program(both));
    expect(answer).toMatchObject({ hash, taken: 1 });
  });

  test('in a worker, for the worker alone', async () => {
    const text = `
      const { Worker } = require('node:worker_threads');
      new Worker(${JSON.stringify(program(`require(${JSON.stringify(script)});`))}, { eval: true });
    `;
    expect(await run(text)).toEqual(sent);
  });
});

describe('taken back', () => {
  const registered = (text) => `const register = require(${JSON.stringify(script)}); ${text}`;

  test('nothing is hooked any more', async () => {
    const text = registered(`
      const { ReadStream } = require('node:fs');
      register.unregister();
      register.unregister();
      for (const name of ['pipe', 'unpipe']) if (Object.hasOwn(ReadStream.prototype, name)) throw new Error(name);
    `);
    expect(await run(program(text))).toEqual({ ...sent, taken: 0, told: [] });
  });

  test('and hooked again', async () => {
    const text = registered('register.unregister(); register.register(); register.register();');
    expect(await run(program(text))).toEqual(sent);
  });

  test('below somebody who has come over it: it takes nothing, and stays out of the way', async () => {
    const text = registered(`
      const { ReadStream } = require('node:fs');
      const { pipe } = ReadStream.prototype;
      ReadStream.prototype.pipe = function (...args) { return pipe.apply(this, args); };
      register.unregister();
    `);
    expect(await run(program(text))).toEqual({ ...sent, taken: 0, told: [] });
  });
});

test('what Node had on ReadStream before is there again after it', () => {
  const { ReadStream } = fs;
  const names = ['pipe', 'unpipe', '_read'];
  const own = () => names.map((name) => Object.getOwnPropertyDescriptor(ReadStream.prototype, name));
  const { register, unregister } = require('../register');
  unregister();
  const before = own();
  register();
  expect(own()).not.toEqual(before);
  unregister();
  expect(own()).toEqual(before);
});

onlyBy(['sendfile'], 'says itself how the others go')(
  'RS_SENDFILE_DISABLE=1: streams are taken and copied, in the same place',
  async () => {
    const answer = await run(program(), { args: ['-r', script], env: { RS_SENDFILE_DISABLE: '1' } });
    expect(answer).toEqual({ ...sent, told: [{ method: 'copy', reason: 'RS_SENDFILE_DISABLE' }] });
  },
);

test('without a binary everything is Node’s', async () => {
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: path.join(root, 'no-such.node') };
  const answer = await run(program(), { args: ['-r', script], env });
  expect(answer).toEqual({ hash, taken: 0, left: { unsupported: 1 }, told: [] });
});
