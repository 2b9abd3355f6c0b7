'use strict';

/**
 * A thousand downloads whose clients leave: a bare pipe, sirv and serve-handler leave the file of each open, for ever.
 * With register none stays open.
 */

const { until } = require('../helpers');
const { connect } = require('../http-client');
const { hooked } = require('../piped');
const { apps } = require('./apps');
const { filesOpen, serve, settledFiles } = require('./compare');

const DOWNLOADS = 1000;
const AT_A_TIME = 20;
const { make } = apps['Node, sirv, serve-handler'];

/** So many downloads, each of which is left once its bytes have begun to come. */
async function leave(way, downloads) {
  const state = await serve(make);
  const one = async () => {
    const client = connect(state.port);
    client.send(`/${way}/huge.bin`);
    await client.takeUntil('\r\n\r\n');
    client.destroy();
  };
  for (let done = 0; done < downloads; done += AT_A_TIME) {
    await Promise.all(Array.from({ length: AT_A_TIME }, one));
  }
  await until(() => state.over === downloads, "every response's 'close'");
}

test.each(['pipe', 'sirv', 'serve-handler'])('%s', async (way) => {
  // Without register each download has a file open in the end: what is looked for can be seen.
  const before = await settledFiles();
  await leave(way, AT_A_TIME);
  const left = await settledFiles();
  expect(left).toHaveLength(before.length + AT_A_TIME);
  const { counts } = await hooked(async () => {
    await leave(way, DOWNLOADS);
    await until(() => filesOpen().every((fd) => left.includes(fd)), 'every file to be closed');
  });
  expect(counts.taken).toBe(counts.failed);
  expect(counts).toMatchObject({ completed: 0 });
  expect(counts.taken).toBeGreaterThan(DOWNLOADS / 2);
});
