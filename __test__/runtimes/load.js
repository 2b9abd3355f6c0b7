'use strict';

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { PassThrough } = require('node:stream');
const { promisify } = require('node:util');
const { Worker } = require('node:worker_threads');
const rsSendfile = require('../..');
const { readAll, root, tmpFile, tmpPath } = require('../helpers');
const { assert, assertBytes, run, runArgs, runtime, sample, test } = require('./harness');

const huge = tmpFile('');
fs.truncateSync(huge, 64 << 20);
const entry = JSON.stringify(path.join(root, 'index.js'));

/** Runs a program text in this runtime: `{ code, signal, stdout, stderr }`. */
async function child(text, { env = {}, args = runArgs } = {}) {
  const file = tmpPath('program.cjs');
  fs.writeFileSync(file, text);
  const options = { env: { ...process.env, ...env }, timeout: 30_000, killSignal: 'SIGKILL' };
  try {
    return {
      code: 0,
      signal: null,
      ...(await promisify(execFile)(process.execPath, [...args, file], options)),
    };
  } catch ({ code, signal, stdout, stderr }) {
    return { code, signal: signal ?? null, stdout, stderr };
  }
}

test('require gives what it should', () => {
  assert.deepStrictEqual(Object.keys(rsSendfile.support).sort(), ['available', 'platform', 'syscall']);
  assert.strictEqual(rsSendfile.support.available, true);
  assert.strictEqual(rsSendfile.support.syscall, 'sendfile');
  for (const name of ['transfer', 'sendfile', 'sendfileSync', 'waitWritable']) {
    assert.strictEqual(typeof rsSendfile[name], 'function');
  }
});

test('import gives the same', async () => {
  const imported = await import(path.join(root, 'index.mjs'));
  assert.strictEqual(imported.transfer, rsSendfile.transfer);
  assert.strictEqual(imported.support, rsSendfile.support);
});

test('without a binary everything is copied, and the call says why', async () => {
  const { stdout } = await child(
    `
    const { PassThrough } = require('node:stream');
    const fs = require('node:fs');
    const { support, transfer, sendfileSync } = require(${entry});
    const out = new PassThrough();
    let bytes = 0;
    out.on('data', (chunk) => { bytes += chunk.length; });
    transfer(out, ${JSON.stringify(huge)}, { length: 1000000 }).then((sent) => {
      let code;
      try { sendfileSync(1, 0, 0, 1); } catch (error) { code = error.code; }
      console.log(sent, bytes, support.available, /does not exist/.test(support.reason), code);
    });
    `,
    { env: { NAPI_RS_NATIVE_LIBRARY_PATH: '/no/such/file.node' } },
  );
  assert.strictEqual(stdout, '1000000 1000000 false true ENOSYS\n');
});

const server = (then) => `
  const { transfer } = require(${entry});
  const net = require('node:net');
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    transfer(socket, ${JSON.stringify(huge)}).catch(() => {});
  });
  server.listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1');
    client.once('data', () => { client.pause(); ${then} });
  });
`;

test('process.exit() in the middle of a transfer', async () => {
  const { code, signal } = await child(server('process.exit(7)'));
  assert.deepStrictEqual([code, signal], [7, null]);
});

test('an uncaught exception in the middle of a transfer', async () => {
  const { code, signal, stderr } = await child(server("throw new Error('mine')"));
  assert.deepStrictEqual([code, signal], [1, null]);
  assert.match(stderr, /mine/);
});

test('a process ends by itself once nothing is pending', async () => {
  const { code, stdout } = await child(`
    const { transfer } = require(${entry});
    const net = require('node:net');
    const server = net.createServer(async (socket) => {
      console.log(await transfer(socket, ${JSON.stringify(huge)}));
      socket.end();
      server.close();
    });
    server.listen(0, '127.0.0.1', () => net.connect(server.address().port, '127.0.0.1').resume());
  `);
  assert.deepStrictEqual([code, stdout], [0, `${64 << 20}\n`]);
});

test('a worker sends, and is ended in the middle of the next', async () => {
  const file = tmpPath('worker.cjs');
  fs.writeFileSync(
    file,
    `
    const { transfer } = require(${entry});
    const { parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer(async (socket) => {
      socket.on('error', () => {});
      await transfer(socket, __filename);
      await transfer(socket, ${JSON.stringify(huge)}).catch(() => {});
    });
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
    `,
  );
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(file);
    const [port] = await once(worker, 'message');
    const client = net.connect(port, '127.0.0.1');
    client.on('error', () => {});
    const [first] = await once(client, 'data');
    client.pause();
    assert.ok(fs.readFileSync(file).indexOf(first.subarray(0, 50)) === 0);
    await worker.terminate();
    client.destroy();
  }
});

test('files that were opened by a path are closed again', async () => {
  const count = () => fs.readdirSync('/proc/self/fd').length;
  const { bytes, path: file } = sample(100_000);
  const send = async () => {
    const out = new PassThrough();
    const received = readAll(out);
    await rsSendfile.transfer(out, file);
    out.end();
    assertBytes(await received, bytes);
  };
  await send();
  const before = count();
  for (let i = 0; i < 50; i++) await send();
  assert.ok(count() <= before + 2, `${count()} descriptors after ${before}`);
});

if (runtime === 'deno') {
  test('a path that the permissions do not allow is refused, as fs refuses it', async () => {
    const { path: secret } = sample(1000);
    const args = [
      'run',
      '--no-prompt',
      '--allow-ffi',
      '--allow-env',
      '--allow-sys',
      `--allow-read=${root},/tmp`,
      `--deny-read=${secret}`,
    ];
    const { stdout, stderr } = await child(
      `
      const fs = require('node:fs');
      const { PassThrough } = require('node:stream');
      const { transfer } = require(${entry});
      const out = new PassThrough();
      out.on('data', () => console.log('READ'));
      fs.open(${JSON.stringify(secret)}, 'r', (plain) => {
        transfer(out, ${JSON.stringify(secret)}).then(console.log, (error) => {
          console.log(String(error.code === plain.code && error.bytesSent === 0));
        });
      });
      `,
      { args },
    );
    assert.strictEqual(stdout, 'true\n', stderr);
  });
}

run();
