'use strict';

/** Ten files on one connection, all asked for at once: they come in that order, each with its own head and bytes. */

const { connect, paces } = require('../http-client');
const { expectBytes } = require('../streams');
const { apps, describeApps, files } = require('./apps');
const { both, over, serve } = require('./compare');

const names = ['large', 'small', 'one', 'empty', 'small', 'large', 'one', 'one', 'large', 'small'];

async function scenario({ make }, way, pace) {
  const state = await serve(make);
  const client = connect(state.port, pace);
  for (const name of names) client.send(`/${way}/${name}.bin`);
  const heads = [];
  for (const name of names) {
    const { status, head, whole, body } = await client.response();
    expect({ status, whole }).toEqual({ status: 200, whole: true });
    expectBytes(body, files[`${name}.bin`]);
    heads.push(head);
  }
  await over(state, names.length);
  return { heads, seen: state.seen.toSorted?.() ?? [...state.seen].sort() };
}

describeApps(Object.keys(apps), (app) => {
  test.each(app.ways)('%s', async (way) => {
    for (const pace of [undefined, paces.slow()]) {
      const { plain, ours, counts } = await both(() => scenario(app, way, pace));
      expect(ours).toEqual(plain);
      // Behind others a file is sent as well; an empty one has nothing to send.
      expect(counts).toMatchObject({ taken: names.length - 1, completed: names.length - 1, failed: 0 });
    }
  });
});
