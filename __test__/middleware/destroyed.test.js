'use strict';

/** A program that gives up half-way: it destroys the request, the response, the socket, or the stream. */

const fs = require('node:fs');
const path = require('node:path');
const { until } = require('../helpers');
const { connect } = require('../http-client');
const { expectBytes } = require('../streams');
const { apps, describeApps, files, root } = require('./apps');
const { both, over, quiet, serve } = require('./compare');

const huge = files['huge.bin'];

const ends = {
  'req.destroy()': ({ req }) => req.destroy(),
  'req.destroy(error)': ({ req }) => req.destroy(new Error('enough')),
  'res.destroy()': (res) => res.destroy(),
  'res.destroy(error)': (res) => res.destroy(new Error('enough')),
  'res.socket.destroy()': ({ socket }) => socket.destroy(),
  'res.socket.resetAndDestroy()': ({ socket }) => socket.resetAndDestroy(),
  'an AbortSignal that destroys the request': ({ req }) => {
    const controller = new AbortController();
    controller.signal.addEventListener('abort', () => req.destroy(controller.signal.reason));
    controller.abort();
  },
};

async function scenario({ make }, way, end) {
  const state = await serve(make);
  const client = connect(state.port);
  client.send(`/${way}/huge.bin`);
  await until(() => state.responses.length === 1, 'the request');
  const head = await client.takeUntil('\r\n\r\n');
  const [res] = state.responses;
  await until(() => res.socket.writableLength > 0, 'a full socket');
  end(res);
  const body = await client.rest();
  if (!/^transfer-encoding/im.test(head)) {
    expect(body.length).toBeLessThan(huge.length);
    expectBytes(body, huge.subarray(0, body.length));
  }
  await over(state);
  await quiet(state);
  const seen = [...state.seen];
  const again = await state.get(`/${way}/small.bin`);
  expectBytes(again.body, files['small.bin']);
  return seen;
}

describeApps(Object.keys(apps), (app) => {
  const cases = Object.entries(ends);
  test.each(cases)('%s', async (_name, end) => {
    for (const way of app.ways) {
      const { plain, ours } = await both(() => scenario(app, way, end));
      expect({ way, seen: ours }).toEqual({ way, seen: plain });
    }
  });
});

describe('the stream, by the program', () => {
  /** A program that keeps its stream, and whose response does not end by itself. */
  const keeping = (note) => {
    const program = {
      handler: (_req, res) => {
        program.stream = fs.createReadStream(path.join(root, 'huge.bin'));
        for (const event of ['end', 'error', 'close']) {
          program.stream.on(event, () => note(`stream ${event}`));
        }
        res.setHeader('Content-Length', huge.length);
        program.stream.pipe(res);
      },
    };
    return program;
  };

  test.each([
    ['without an error', undefined],
    ['with an error', new Error('enough')],
  ])('is destroyed %s: the response waits for what the program does with it', async (_name, error) => {
    const run = async () => {
      let program;
      const state = await serve((note) => {
        program = keeping(note);
        return program;
      });
      const client = connect(state.port);
      client.send('/');
      await client.takeUntil('\r\n\r\n');
      const [res] = await until(() => state.responses.length === 1, 'it').then(() => state.responses);
      await until(() => res.socket.writableLength > 0, 'a full socket');
      program.stream.destroy(error);
      await until(() => state.seen.includes('stream close'), "the stream's 'close'");
      expect(res.writableEnded).toBe(false);
      res.destroy();
      const body = await client.rest();
      expectBytes(body, huge.subarray(0, body.length));
      await over(state);
      await quiet(state);
      return state.seen;
    };
    const { plain, ours } = await both(run);
    expect(ours).toEqual(plain);
  });
});
