'use strict';

/**
 * A client that leaves before, in the middle of, or after a file that `rs-sendfile/send` sends: the program sees what it
 * sees of `send`, and the file is closed.
 */

const { openFds, until } = require('./helpers');
const { versions, root, large, huge, expectSame, expectTaken } = require('./send-play');
const { expectBytes } = require('./streams');

/** How a client leaves. */
const leaves = {
  'ends its side': (client) => client.socket.end(),
  closes: (client) => client.socket.destroy(),
  resets: (client) => client.socket.resetAndDestroy(),
};

/** Descriptors of the files that are sent. */
const filesOpen = () => [...openFds().values()].filter((name) => name.startsWith(root));

const fullSocket = (server) =>
  until(() => server.res.socket === null || server.res.socket.writableLength > 0, 'a full socket');

/**
 * When it leaves: a file, how many of its bytes are read before, and what the server has come to by then.
 * A client that only ends its side gets the piece that is queued for it whole: the file's end must not be in it.
 */
const moments = {
  'in the middle': { url: '/huge.bin', body: huge, bytes: 100_000, come: fullSocket },
  'at the end': {
    url: '/large.bin',
    body: large,
    bytes: large.length,
    come: (server) => until(() => server.res.writableFinished, "the response's 'finish'"),
  },
};
const cases = Object.entries(leaves).flatMap(([how, leave]) =>
  Object.entries(moments).map(([when, moment]) => [how, when, moment, leave]),
);

/** What comes to a client that only ends its side is the file's as well. */
const leaving =
  (leave, { body, bytes, come }) =>
  async (client, server) => {
    await client.takeUntil('\r\n\r\n');
    expectBytes(await client.take(bytes), body.subarray(0, bytes));
    await come(server);
    leave(client);
    const rest = await client.rest();
    expectBytes(rest, body.subarray(bytes, bytes + rest.length));
  };

/** Reads nothing. */
const leavingAtOnce = (leave) => async (client, server) => {
  await until(() => server.res !== null, 'the request');
  leave(client);
  await client.rest();
};

afterEach(() => until(() => filesOpen().length === 0, 'no file open'));

describe.each(versions)('over %s', (_version, plain, ours) => {
  test.each(cases)('a client that %s %s', async (_how, _when, moment, leave) => {
    const result = await expectSame(plain, ours, { url: moment.url, read: leaving(leave, moment) });
    expect(result.seen.includes('end')).toBe(moment.body === large);
    expect(result.seen.filter((event) => event === 'response close')).toHaveLength(1);
    expectTaken(result);
  });

  // Whether the file is open by then is a matter of luck. So only what has to be in the end.
  test.each(Object.entries(leaves))('a client that %s as soon as it has asked', async (_how, leave) => {
    await expectSame(plain, ours, {
      url: '/huge.bin',
      read: leavingAtOnce(leave),
      only: ['end', 'response finish', 'response close'],
    });
  });

  test.each(Object.entries(leaves))('a client that %s before it is answered', async (_how, leave) => {
    await expectSame(plain, ours, {
      url: '/huge.bin',
      prepare: (res) => new Promise((resolve) => res.req.socket.once('close', resolve)),
      read: async (client, server) => {
        await leavingAtOnce(leave)(client, server);
        await until(() => server.stream !== null, 'the stream');
      },
    });
  });
});
