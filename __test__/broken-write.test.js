'use strict';

/** A stream that is destroyed under the last write of a transfer: what was under way is lost, and is not told as sent. */

const { transfer } = require('..');
const { pattern, readAll, readBytes, tmpFile } = require('./helpers');
const { tlsPair } = require('./kinds');
const { closeAll, failure, pair } = require('./streams');

afterEach(closeAll);

const file = tmpFile(pattern(1000));
/** More than any buffers hold. */
const trailers = Buffer.alloc(50 << 20, 'x');
const kinds = { 'a socket': () => pair(), 'a TLS socket': tlsPair };
const turn = () => new Promise(setImmediate);

describe.each(Object.keys(kinds))('%s', (kind) => {
  test.each(['far', 'near'])('destroyed by its %s side', async (side) => {
    const { near, far } = await kinds[kind]();
    far.on('error', () => {});
    const sending = failure(transfer(near, file, { trailers }));
    await readBytes(far, 5 << 20);
    for (let i = 0; i < 50; i++) await turn();
    (side === 'near' ? near : far).destroy();
    expect(await sending).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
  });
});

test('a socket that is destroyed by its near side: its count is right, or one write off', async () => {
  const { near, far } = await pair();
  const sending = failure(transfer(near, file, { trailers }));
  const first = await readBytes(far, 5 << 20);
  near.destroy();
  const came = first.length + (await readAll(far)).length;
  const { bytesSent } = await sending;
  expect(Math.abs(bytesSent - came)).toBeLessThanOrEqual(128 * 1024);
});
