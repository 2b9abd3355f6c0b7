'use strict';

/**
 * A client that leaves, in every way and at every moment: the program is told what it is told without register, as
 * often, and in the same order; and with register no file stays open.
 */

const { until } = require('../helpers');
const { connect } = require('../http-client');
const { expectBytes } = require('../streams');
const { apps, describeApps, files } = require('./apps');
const { both, over, quiet, serve } = require('./compare');

const leaves = {
  'ends its side': (client) => client.socket.end(),
  closes: (client) => client.socket.destroy(),
  resets: (client) => client.socket.resetAndDestroy(),
};

/** When it leaves: what is asked for, how many bytes of it are read before, and what the server has come to by then. */
const moments = {
  'before it is answered': { name: 'huge.bin', luck: true, before: true },
  'as soon as it has asked': { name: 'huge.bin', luck: true },
  'in the middle': {
    name: 'huge.bin',
    bytes: 100_000,
    come: ({ socket }) => until(() => socket.writableLength > 0, 'a full socket'),
  },
  'at the end': {
    name: 'large.bin',
    bytes: files['large.bin'].length,
    come: (res) => until(() => res.writableFinished, "the response's 'finish'"),
  },
};

const cases = Object.entries(leaves).flatMap(([how, leave]) =>
  Object.entries(moments).map(([when, moment]) => [how, when, moment, leave]),
);

/** Where luck has a say in how far things have come, what has to be the same nevertheless. */
const CERTAIN = /called back|error handler|response/;

/** Reads so much of the file. In the middle of a chunked body that is the size of its first chunk. */
async function readFirst(client, { name, bytes }) {
  const head = await client.takeUntil('\r\n\r\n');
  const wanted = files[name].subarray(0, bytes);
  if (!/^transfer-encoding/im.test(head)) expectBytes(await client.take(bytes), wanted);
  else if (bytes < files[name].length) await client.takeUntil('\r\n');
  else expectBytes((await client.chunked()).body, wanted);
}

async function scenario({ make }, way, leave, moment) {
  let gone;
  const before = (req) => {
    if (!moment.before) return undefined;
    gone ??= new Promise((resolve) => req.socket.once('close', resolve));
    return req.url.endsWith('small.bin') ? undefined : gone;
  };
  const state = await serve(make, { before });
  const client = connect(state.port);
  client.send(`/${way}/${moment.name}`);
  await until(() => state.responses.length === 1, 'the request');
  if (moment.bytes) {
    await readFirst(client, moment);
    await moment.come(state.responses[0]);
  }
  leave(client);
  const rest = client.rest();
  await over(state);
  await rest;
  await quiet(state);
  const seen = moment.luck ? state.seen : [...state.seen];
  // And the server goes on.
  const { status, whole, body } = await state.get(`/${way}/small.bin`);
  expect({ status, whole }).toEqual({ status: 200, whole: true });
  expectBytes(body, files['small.bin']);
  await quiet(state);
  return moment.luck ? seen.filter((what) => CERTAIN.test(what)) : seen;
}

const isFastify = (app) => app === apps.Fastify;

describeApps(Object.keys(apps), (app) => {
  describe.each(app.ways)('%s', (way) => {
    test.each(cases)('a client that %s %s', async (_how, when, moment, leave) => {
      const { plain, ours, counts } = await both(() => scenario(app, way, leave, moment));
      expect(ours).toEqual(plain);
      expect(ours).toContain('response close');
      if (when === 'in the middle' && /^(sendFile|download)$/.test(way) && !isFastify(app)) {
        expect(ours.filter((what) => what.includes('called back'))).toEqual([
          `${way} called back: ECONNABORTED`,
        ]);
      }
      // The file of the scenario, and the small one after it.
      if (when === 'in the middle')
        expect(counts).toMatchObject({ taken: 2, completed: 1, failed: 1, left: {} });
      if (when === 'at the end')
        expect(counts).toMatchObject({ taken: 2, completed: 2, failed: 0, left: {} });
    });
  });
});
