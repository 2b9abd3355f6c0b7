/**
 * A user's program, run beside an installed package: `node use.mjs METHOD` sends a file to a socket, and fails unless it
 * arrives, by METHOD.
 */

import assert from 'node:assert';
import crypto from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { support, transfer } from 'rs-sendfile';

const require = createRequire(import.meta.url);
const method = process.argv[2];
// Small ones are copied.
const file = fileURLToPath(new URL('file.bin', import.meta.url));
fs.writeFileSync(file, crypto.randomBytes(1 << 20));

assert.strictEqual(require('rs-sendfile').transfer, transfer);
assert.strictEqual(typeof require('rs-sendfile/register').stats, 'function');
assert.throws(() => require('rs-sendfile/send'), { code: 'ERR_SENDFILE_PEER_MISSING' });
assert.strictEqual(support.available, method === 'sendfile', support.reason);

const ways = [];
diagnostics.subscribe('tracing:rs-sendfile:transfer:asyncEnd', (message) => ways.push(message.method));
const server = net.createServer((socket) => transfer(socket, file).then(() => socket.end()));
server.listen(0, '127.0.0.1', async () => {
  const chunks = [];
  for await (const chunk of net.connect(server.address().port, '127.0.0.1')) chunks.push(chunk);
  server.close();
  assert.deepStrictEqual(Buffer.concat(chunks), fs.readFileSync(file));
  assert.deepStrictEqual(ways, [method]);
});
