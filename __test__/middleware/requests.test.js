'use strict';

/** HEAD, ranges and conditions: head and bytes are those that come without register. */

const { expectBytes } = require('../streams');
const { apps, describeApps, files } = require('./apps');
const { both, serve } = require('./compare');

const small = files['small.bin'];
const THEN = 'Sun, 02 Feb 2020 02:02:02 GMT';
const BEFORE = 'Sun, 02 Feb 2019 02:02:02 GMT';

const requests = {
  GET: {},
  HEAD: { method: 'HEAD' },
  'HEAD of a range': { method: 'HEAD', headers: ['Range: bytes=1-5'] },
  'the first bytes': { headers: ['Range: bytes=0-99'] },
  'one byte': { headers: ['Range: bytes=7-7'] },
  'from there on': { headers: ['Range: bytes=20000-'] },
  'the last bytes': { headers: ['Range: bytes=-11'] },
  'a range past the end': { headers: ['Range: bytes=99999-'] },
  'two ranges': { headers: ['Range: bytes=0-9,100-109'] },
  'a range that is none': { headers: ['Range: nothing'] },
  'If-Range that holds': { headers: ['Range: bytes=0-9', `If-Range: ${THEN}`] },
  'If-Range that does not': { headers: ['Range: bytes=0-9', `If-Range: ${BEFORE}`] },
  'If-Modified-Since that holds': { headers: [`If-Modified-Since: ${THEN}`] },
  'If-Modified-Since that does not': { headers: [`If-Modified-Since: ${BEFORE}`] },
  'If-Unmodified-Since that does not hold': { headers: [`If-Unmodified-Since: ${BEFORE}`] },
  'If-None-Match of anything': { headers: ['If-None-Match: *'] },
  'If-None-Match of another': { headers: ['If-None-Match: "other"'] },
  'If-Match of another': { headers: ['If-Match: "other"'] },
};

async function scenario({ make }, way) {
  const state = await serve(make);
  const came = {};
  for (const [name, request] of Object.entries(requests)) {
    const response = await state.get(`/${way}/small.bin`, request);
    expect(response.whole).toBe(true);
    came[name] = response;
  }
  const missing = await state.get(`/${way}/none.bin`);
  return { came, missing, seen: state.seen };
}

// A bare pipe of a program knows no requests.
const ways = (app) => app.ways.filter((way) => !['pipe', 'pipeline', 'body', 'stream'].includes(way));

describeApps(Object.keys(apps), (app) => {
  test.each(ways(app))('%s', async (way) => {
    const { plain, ours, counts } = await both(() => scenario(app, way));
    for (const [name, { body, ...rest }] of Object.entries(ours.came)) {
      const { body: expected, ...head } = plain.came[name];
      expect({ name, ...rest }).toEqual({ name, ...head });
      expectBytes(body, expected);
    }
    expect(ours.missing).toEqual(plain.missing);
    expect(ours.seen).toEqual(plain.seen);
    expectBytes(ours.came.GET.body, small);
    // Each with a body of the file was sent by a transfer. (serve-handler's 416 has one, too.)
    const sent = Object.values(ours.came).filter(({ status, body }) => status < 300 && body.length > 0);
    expect(counts.taken).toBeGreaterThanOrEqual(sent.length);
    expect(counts).toMatchObject({ completed: counts.taken, failed: 0 });
    expect(sent.length).toBeGreaterThan(3);
  });
});
