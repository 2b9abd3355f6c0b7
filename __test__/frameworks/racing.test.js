'use strict';

/**
 * Handlers that both want to answer: one outcome, the same as without register, with the bytes of one file and never a
 * mixture.
 */

const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { until } = require('../helpers');
const { connect } = require('../http-client');
const { expectBytes } = require('../streams');
const { codeOf, describeApps, files, root } = require('./apps');
const { both, over, quiet, serve } = require('./compare');

const large = files['large.bin'];
const small = files['small.bin'];
const file = (name) => path.join(root, name);

/** The response has begun: its head is out, and bytes of its file wait in the socket. */
const begun = (res) => until(() => res.socket?.writableLength > 0 || res.destroyed, 'the first bytes');

/** What two handlers of Express do with one request. */
const express = {
  'two files in one turn': (_req, res, next, note) => {
    res.sendFile(file('large.bin'), (error) => note(`first called back: ${codeOf(error)}`));
    res.sendFile(file('small.bin'), (error) => note(`second called back: ${codeOf(error)}`));
  },
  'the same file twice': (_req, res, next, note) => {
    res.sendFile(file('large.bin'), (error) => note(`first called back: ${codeOf(error)}`));
    res.sendFile(file('large.bin'), (error) => note(`second called back: ${codeOf(error)}`));
  },
  'a second file once the first is under way': async (_req, res, next, note) => {
    res.sendFile(file('large.bin'), (error) => note(`first called back: ${codeOf(error)}`));
    await begun(res);
    res.sendFile(file('small.bin'), (error) => note(`second called back: ${codeOf(error)}`));
  },
  'a second file after the first': (_req, res, next, note) => {
    res.sendFile(file('small.bin'), (error) => {
      note(`first called back: ${codeOf(error)}`);
      res.sendFile(file('large.bin'), (again) => note(`second called back: ${codeOf(again)}`));
    });
  },
  'next in the turn of a file': (_req, res, next, note) => {
    res.sendFile(file('large.bin'), (error) => note(`called back: ${codeOf(error)}`));
    next();
  },
  'next once a file is under way': async (_req, res, next, note) => {
    res.sendFile(file('huge.bin'), (error) => note(`called back: ${codeOf(error)}`));
    await begun(res);
    next();
  },
  'an error once a file is under way': async (_req, res, next, note) => {
    res.sendFile(file('huge.bin'), (error) => note(`called back: ${codeOf(error)}`));
    await begun(res);
    next(Object.assign(new Error('late'), { code: 'ELATE' }));
  },
  'a text once a file is under way': async (_req, res, next, note) => {
    res.sendFile(file('large.bin'), (error) => note(`called back: ${codeOf(error)}`));
    await begun(res);
    try {
      res.send('text');
    } catch (error) {
      note(`send: ${codeOf(error)}`);
    }
  },
  'json before the file is there': (_req, res, next, note) => {
    res.sendFile(file('large.bin'), (error) => note(`called back: ${codeOf(error)}`));
    res.json({ first: true });
  },
};

/** What two middlewares of Koa do. */
const koa = {
  'a second body instead of a stream': (ctx) => {
    ctx.body = fs.createReadStream(file('large.bin'));
    ctx.body = fs.createReadStream(file('small.bin'));
  },
  'a text instead of a stream': (ctx) => {
    ctx.body = fs.createReadStream(file('large.bin'));
    ctx.body = 'text';
  },
  'an error after a stream': (ctx) => {
    ctx.body = fs.createReadStream(file('large.bin'));
    ctx.throw(503, 'sorry');
  },
  'two responses, past Koa': (ctx) => {
    ctx.respond = false;
    ctx.res.setHeader('Content-Length', small.length);
    fs.createReadStream(file('small.bin')).pipe(ctx.res);
  },
};

/** What a handler of Fastify does. */
const fastify = {
  'a second reply in one turn': (_req, reply, note) => {
    reply.sendFile('large.bin');
    note(`sent: ${reply.sent}`);
    reply.send('text');
  },
  'a stream and then a text': (_req, reply) => {
    reply.header('content-length', small.length).send(fs.createReadStream(file('small.bin')));
    reply.send('text');
  },
  'an error after a stream': (_req, reply) => {
    reply.header('content-length', small.length).send(fs.createReadStream(file('small.bin')));
    throw new Error('late');
  },
};

async function scenario(make, extend) {
  const state = await serve(make, { extend });
  const client = connect(state.port);
  client.send('/race', 'GET');
  const response = await client.response();
  await over(state);
  await quiet(state);
  client.destroy();
  // And the server goes on.
  const again = await state.get('/static/small.bin');
  return { response, seen: state.seen, again };
}

/** The same status and events; a body that is cut off is a part of the same file. */
function expectSame({ plain, ours }) {
  expect(ours.seen).toEqual(plain.seen);
  const { body, ...rest } = ours.response ?? {};
  const { body: expected, ...head } = plain.response ?? {};
  expect(rest).toEqual(head);
  if (head.whole) expectBytes(body, expected);
  else if (body) expectBytes(body, files['huge.bin'].subarray(0, body.length));
  expect(ours.again?.status).toBe(plain.again?.status);
}

describeApps(['Express 5', 'Express 4'], ({ make }) => {
  test.each(Object.entries(express))('%s', async (_name, race) => {
    const extend = (app, note) => {
      app.get('/race', (req, res, next) => void race(req, res, next, note));
    };
    expectSame(await both(() => scenario(make, extend)));
  });

  test('an error handler that writes after its client has left', async () => {
    const run = async () => {
      const state = await serve(make, {
        extend: (app, note) => {
          app.get('/race', (_req, res) => {
            res.sendFile(file('huge.bin'), async (error) => {
              note(`called back: ${codeOf(error)}`);
              try {
                res.status(500).send('sorry');
              } catch (late) {
                note(`send: ${codeOf(late)}`);
              }
              res.write('more', (late) => note(`write: ${codeOf(late)}`));
              res.end(() => note('ended'));
            });
          });
        },
      });
      const client = connect(state.port);
      client.send('/race');
      await client.takeUntil('\r\n\r\n');
      await begun(state.responses[0]);
      client.socket.resetAndDestroy();
      await over(state);
      await quiet(state);
      const seen = [...state.seen];
      const again = await state.get('/static/small.bin');
      expectBytes(again.body, small);
      return seen;
    };
    const { plain, ours } = await both(run);
    expect(ours).toEqual(plain);
    expect(ours).toContain('called back: ECONNABORTED');
  });
});

describeApps(['Koa'], ({ make }) => {
  test.each(Object.entries(koa))('%s', async (_name, race) => {
    const extend = (app) => {
      app.use((ctx, next) => (ctx.path === '/race' ? race(ctx) : next()));
      app.silent = true;
    };
    expectSame(await both(() => scenario(make, extend)));
  });
});

describeApps(['Fastify'], ({ make }) => {
  test.each(Object.entries(fastify))('%s', async (_name, race) => {
    const extend = (app, note) => {
      app.get('/race', (req, reply) => {
        race(req, reply, note);
      });
    };
    expectSame(await both(() => scenario(make, extend)));
  });
});

describe('by hand', () => {
  const pipeBoth = (note) => ({
    handler: async (_req, res) => {
      res.setHeader('Content-Length', small.length + large.length);
      const first = fs.createReadStream(file('small.bin'));
      first.pipe(res, { end: false });
      await once(first, 'end');
      note('the first has ended');
      fs.createReadStream(file('large.bin')).pipe(res);
    },
  });

  test('two files in one response, one after the other', async () => {
    const run = async () => {
      const state = await serve(pipeBoth);
      const response = await state.get('/');
      return { response, seen: state.seen };
    };
    const { plain, ours, counts } = await both(run);
    expectBytes(ours.response.body, Buffer.concat([small, large]));
    expect(ours.seen).toEqual(plain.seen);
    expect(counts).toMatchObject({ taken: 2, completed: 2 });
  });
});
