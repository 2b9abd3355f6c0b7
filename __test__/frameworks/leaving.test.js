'use strict';

/**
 * A client that leaves, in every way and at every moment: the program is told what it is told without register, as
 * often, and in the same order; and with register no file stays open.
 */

const { until } = require('../helpers');
const { connect } = require('../http-client');
const { expectBytes } = require('../streams');
const { apps, describeApps, files } = require('./apps');
const { both, filesOpen, known, over, serve } = require('./compare');

const large = files['large.bin'];

const leaves = {
  'ends its side': (client) => client.socket.end(),
  closes: (client) => client.socket.destroy(),
  resets: (client) => client.socket.resetAndDestroy(),
};

/** When it leaves: `before` the program hears of its request, or after so many bytes. */
const moments = {
  'before it is answered': { before: true },
  'as soon as it has asked': { bytes: 0 },
  'in the middle': { bytes: 100_000 },
  'at the end': { bytes: large.length },
};

/** Where luck has a say in how far things have come, this is what has to be the same. */
const CERTAIN = /called back|error handler|onError|response finish|response close/;

async function scenario({ make }, target, leave, { before, bytes }) {
  let gone;
  const closed = (socket) => new Promise((resolve) => socket.once('close', resolve));
  const state = await serve(make, {
    before: (req) => {
      if (before) gone = closed(req.socket);
      return gone;
    },
  });
  const client = connect(state.port);
  client.send(target);
  await until(() => state.responses.length === 1, 'the request');
  if (bytes > 0) {
    await client.takeUntil('\r\n\r\n');
    if (!target.startsWith('/body') && !target.startsWith('/pipe') && !target.startsWith('/stream')) {
      expectBytes(await client.take(bytes), large.subarray(0, bytes));
    }
    const [{ socket }] = state.responses;
    if (bytes < large.length) await until(() => socket.writableLength > 0, 'a full socket');
  }
  leave(client);
  client.rest().catch(() => {});
  await over(state);
  if (before) await quiet(state);
  const again = await get(state);
  return { seen: state.seen, again };
}

/** Nothing more is noted, and no file is opened or closed any more. */
async function quiet(state) {
  let last = '';
  let turns = 0;
  await until(() => {
    const now = `${state.seen.length} ${filesOpen()}`;
    turns = now === last ? turns + 1 : 0;
    last = now;
    return turns > 20;
  }, 'quiet');
}
