'use strict';

/**
 * A client that leaves before, in the middle of, or after a file that `rs-sendfile/send` sends: the program sees what it
 * sees of `send`, and the file is closed.
 */

const { openFds, until } = require('./helpers');
const { versions, root, large, expectSame, expectTaken } = require('./send-play');
const { expectBytes } = require('./streams');

/** How a client leaves. */
const leaves = {
  'ends its side': (client) => client.socket.end(),
  closes: (client) => client.socket.destroy(),
  resets: (client) => client.socket.resetAndDestroy(),
};

/** Descriptors of the files that are sent. */
const filesOpen = () => [...openFds().values()].filter((name) => name.startsWith(root));

/** Reads so many bytes of the body, then leaves. What comes to a client that only ends its side is the file's. */
const leaving = (bytes, leave) => async (client, server) => {
  await until(() => server.res !== null, 'the request');
  if (bytes > 0) {
    await client.takeUntil('\r\n\r\n');
    expectBytes(await client.take(bytes), large.subarray(0, bytes));
    if (bytes < large.length) {
      await until(() => server.res.socket === null || server.res.socket.writableLength > 0, 'a full socket');
    }
  }
  leave(client);
  const rest = await client.rest();
  if (bytes > 0) expectBytes(rest, large.subarray(bytes, bytes + rest.length));
  return {};
};

const moments = { 'in the middle': 100_000, 'at the end': large.length };
const cases = Object.entries(leaves).flatMap(([how, leave]) =>
  Object.entries(moments).map(([when, bytes]) => [how, when, bytes, leave]),
);

afterEach(() => until(() => filesOpen().length === 0, 'no file open'));

describe.each(versions)('over %s', (_version, plain, ours) => {
  test.each(cases)('a client that %s %s', async (_how, _when, bytes, leave) => {
    const result = await expectSame(plain, ours, { url: '/large.bin', read: leaving(bytes, leave) });
    expect(result.seen.includes('end')).toBe(bytes === large.length);
    expect(result.seen.filter((event) => event === 'response close')).toHaveLength(1);
    expectTaken(result);
  });

  // Whether the file is open by then is a matter of luck. So only what has to be in the end.
  test.each(Object.entries(leaves))('a client that %s as soon as it has asked', async (_how, leave) => {
    await expectSame(plain, ours, {
      url: '/large.bin',
      read: leaving(0, leave),
      only: ['end', 'response finish', 'response close'],
    });
  });

  test.each(Object.entries(leaves))('a client that %s before it is answered', async (_how, leave) => {
    await expectSame(plain, ours, {
      url: '/large.bin',
      prepare: (res) => new Promise((resolve) => res.req.socket.once('close', resolve)),
      read: async (client, server) => {
        await leaving(0, leave)(client, server);
        await until(() => server.stream !== null, 'the stream');
      },
    });
  });
});
