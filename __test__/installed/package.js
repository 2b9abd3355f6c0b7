'use strict';

/** What was installed is what this platform needs, and it is what is loaded. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const rsSendfile = require('rs-sendfile');
const { assert, run, test } = require('../runtimes/harness');

const { support } = rsSendfile;
const target = process.env.RS_SENDFILE_TEST_TARGET ?? support.platform;
const version = JSON.parse(fs.readFileSync(require.resolve('rs-sendfile/package.json'), 'utf8')).version;

test('sendfile is available, on the platform that was meant', () => {
  assert.deepStrictEqual(support, { available: true, syscall: 'sendfile', platform: target });
});

test(`this is ${target}: its processor, the order of its bytes`, () => {
  const [platform, arch] = target.split('-');
  assert.deepStrictEqual([process.platform, process.arch], [platform, arch]);
  assert.strictEqual(os.endianness(), arch === 's390x' ? 'BE' : 'LE');
});

test('the binary is that of the package of this platform, of the same version', () => {
  const name = `rs-sendfile-${target}`;
  const beside = path.join(path.dirname(require.resolve('rs-sendfile')), '..', name);
  const manifest = JSON.parse(fs.readFileSync(path.join(beside, 'package.json'), 'utf8'));
  assert.strictEqual(manifest.version, version);
  assert.deepStrictEqual(
    Object.keys(require.cache).filter((file) => file.endsWith('.node')),
    [fs.realpathSync(path.join(beside, manifest.main))],
  );
});

test('import gives the same', async () => {
  const imported = await import('rs-sendfile');
  assert.strictEqual(imported.transfer, rsSendfile.transfer);
  assert.strictEqual(imported.support, support);
});

test('two workers have it at once', async () => {
  const { Worker } = require('node:worker_threads');
  const { once } = require('node:events');
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    const fs = require('node:fs');
    const { sendfileSync } = require(workerData.entry);
    const input = fs.openSync(workerData.entry);
    const out = fs.openSync('/dev/null', 'w');
    parentPort.postMessage(sendfileSync(out, input, 0, null));`;
  const entry = require.resolve('rs-sendfile');
  const workers = [0, 1].map(() => new Worker(program, { eval: true, workerData: { entry } }));
  const ends = workers.map((worker) => once(worker, 'exit'));
  const counts = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  assert.deepStrictEqual(counts, [fs.statSync(entry).size, fs.statSync(entry).size]);
  assert.deepStrictEqual(await Promise.all(ends), [[0], [0]]);
});

run();
