'use strict';

/** Compression before a file is sent, and behind it: what is unpacked is the file, and register steps aside. */

const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const compression = require('compression');
const fastifyCompress = require('@fastify/compress');
const koaCompress = require('koa-compress');
const { expectBytes } = require('../streams');
const { describeApps, files, root } = require('./apps');
const { both, serve } = require('./compare');

const text = files['text.txt'];
const small = files['small.bin'];
const gzip = { headers: ['Accept-Encoding: gzip'] };

async function scenario({ make }, way, { extend, name = 'text.txt', request = gzip }) {
  const state = await serve(make, { extend });
  const response = await state.get(`/${way}/${name}`, request);
  return { response, seen: state.seen };
}

/** Packed alike, and unpacked the file. */
function expectPacked({ plain, ours }) {
  expect(ours.response).toEqual(plain.response);
  expect(ours.response.headers['content-encoding']).toBe('gzip');
  expectBytes(zlib.gunzipSync(ours.response.body), text);
  expect(ours.seen).toEqual(plain.seen);
}

function expectAsItIs({ plain, ours, counts }, bytes) {
  expect(ours.response).toEqual(plain.response);
  expect(ours.response.headers).not.toHaveProperty('content-encoding');
  expectBytes(ours.response.body, bytes);
  expect(ours.seen).toEqual(plain.seen);
  return counts;
}

const packs = {
  'Express 5': (app) => app.use(compression()),
  'Express 4': (app) => app.use(compression()),
  Koa: (app) => app.use(koaCompress({ br: false })),
  Fastify: (app) => app.register(fastifyCompress, { encodings: ['gzip'] }),
};

/** What register says of a packed response: Express's `write` is replaced, the others pipe into zlib, not a response. */
const left = (name) => (name.startsWith('Express') ? { patched: 1 } : {});

describeApps(Object.keys(packs), (app, name) => {
  const extend = packs[name];

  test.each(app.ways)('before %s: packed', async (way) => {
    const result = await both(() => scenario(app, way, { extend }));
    expectPacked(result);
    expect(result.counts).toMatchObject({ taken: 0, left: left(name) });
  });

  test.each(app.ways)('before %s: not asked for', async (way) => {
    const result = await both(() => scenario(app, way, { extend, request: {} }));
    const { taken } = expectAsItIs(result, text);
    // Express's responses are patched, whatever comes.
    expect(taken).toBe(name.startsWith('Express') ? 0 : 1);
  });
});

describeApps(['Express 5', 'Express 4'], ({ make }) => {
  const wayBehind = (app) => {
    app.get('/behind/:name', (_req, res, next) => {
      res.sendFile(path.join(root, 'small.bin'));
      // Nobody should, but the response is patched while its file is being looked up.
      setImmediate(next);
    });
    app.get('/behind/:name', compression());
    app.get('/behind/:name', () => {});
  };

  test('behind a file that has been given: packed or not, it is the file', async () => {
    const { plain, ours } = await both(() => scenario({ make }, 'behind', { extend: wayBehind }));
    for (const { response } of [plain, ours]) {
      const packed = response.headers['content-encoding'] === 'gzip';
      expectBytes(packed ? zlib.gunzipSync(response.body) : response.body, small);
    }
  });

  test('behind a file that is under way: whoever replaces write sees all that is not in the queue by then', async () => {
    const large = files['large.bin'];
    let seen = 0;
    const extend = (app) => {
      app.get('/late/:name', (_req, res) => {
        res.setHeader('Content-Length', large.length);
        const stream = fs.createReadStream(path.join(root, 'large.bin'));
        stream.pipe(res);
        const look = setInterval(() => {
          if (stream.bytesRead === 0) return;
          clearInterval(look);
          const { write } = res;
          res.write = (chunk, ...rest) => {
            seen += chunk.length;
            return write.call(res, chunk, ...rest);
          };
        }, 1);
      });
    };
    const { ours } = await both(() => {
      seen = 0;
      return scenario({ make }, 'late', { extend, request: {} });
    });
    expectBytes(ours.response.body, large);
    expect(seen).toBeLessThan(large.length);
  });
});
