'use strict';

/** Headers and trailers: as bytes, in lists longer than one system call takes, cut off by a full socket. */

const fs = require('node:fs');
const { sendfile, sendfileSync } = require('rs-sendfile');
const { pattern, rawPair, takeAll, takeNow, tmpFile } = require('../helpers');
const { assert, assertBytes, run, test } = require('../runtimes/harness');

const content = pattern(20_000, 2);
const file = tmpFile(content);
const forms = {
  sendfileSync: async (...args) => sendfileSync(...args),
  sendfile: (...args) => sendfile(...args),
};

/** What arrives of one call, as many bytes as it says. */
async function received(call, ...given) {
  const { out, near, peer } = await rawPair({ unix: true });
  const input = fs.openSync(file);
  const count = await call(out, input, ...given);
  fs.closeSync(input);
  near.end();
  const bytes = await takeAll(peer);
  assert.strictEqual(count, bytes.length);
  return bytes;
}

for (const [name, call] of Object.entries(forms)) {
  test(`${name}: text, bytes, a part of a larger buffer, and nothing`, async () => {
    const large = Buffer.from('<<<part>>>');
    const headers = ['höad', new Uint8Array([0, 255]), large.subarray(3, 7), '', Buffer.alloc(0)];
    const expected = [
      Buffer.from('höad'),
      Buffer.from([0, 255]),
      Buffer.from('part'),
      content.subarray(5, 1005),
    ];
    assertBytes(
      await received(call, 5, 1000, headers, ['tail', '!']),
      Buffer.concat([...expected, Buffer.from('tail!')]),
    );
    assertBytes(await received(call, 5, 0, 'no', 'file'), Buffer.from('nofile'));
  });

  test(`${name}: 3,000 headers and 3,000 trailers`, async () => {
    const headers = Array.from({ length: 3000 }, (_, i) => `${i},`);
    const trailers = Array.from({ length: 3000 }, (_, i) => Buffer.from(`;${i}`));
    assertBytes(
      await received(call, 0, null, headers, trailers),
      Buffer.concat([Buffer.from(headers.join('')), content, ...trailers]),
    );
  });

  test(`${name}: headers that fill the socket are counted alone, and go on where they were cut`, async () => {
    const headers = pattern(1_000_000, 8);
    const input = fs.openSync(file);
    const { out, near, peer } = await rawPair({ unix: true });
    const all = Buffer.concat([headers, content, Buffer.from('tail')]);
    const chunks = [];
    let sent = 0;
    while (sent < all.length) {
      const place = Math.max(0, sent - headers.length);
      const left = Math.max(0, sent - headers.length - content.length);
      try {
        sent += await call(out, input, place, null, headers.subarray(sent), 'tail'.slice(left));
      } catch (error) {
        assert.strictEqual(error.code, 'EAGAIN');
        chunks.push(takeNow(peer));
      }
    }
    assert.strictEqual(sent, all.length);
    near.end();
    chunks.push(await takeAll(peer));
    assertBytes(Buffer.concat(chunks), all);
    fs.closeSync(input);
  });
}

run();
