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

/** The response has begun: its head is out, and bytes of its file wait in the socket, since its client reads nothing. */
const begun = (res) => until(() => res.socket?.writableLength > 0, 'the first bytes');

/** What two handlers of Express do with one request. */
const express = {
  'a second file once the first is under way': async (_req, res, _next, note) => {
    res.sendFile(file('huge.bin'), (error) => note(`first called back: ${codeOf(error)}`));
    await begun(res);
    res.sendFile(file('small.bin'), (error) => note(`second called back: ${codeOf(error)}`));
  },
  'a second file after the first': (_req, res, _next, note) => {
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
  'a text once a file is under way': async (_req, res, _next, note) => {
    res.sendFile(file('huge.bin'), (error) => note(`called back: ${codeOf(error)}`));
    await begun(res);
    try {
      res.send('text');
    } catch (error) {
      note(`send: ${codeOf(error)}`);
    }
  },
  'json before the file is there': (_req, res, _next, note) => {
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
  'a stream and then a text': (_req, reply) => {
    reply.header('content-length', small.length).send(fs.createReadStream(file('small.bin')));
    reply.send('text');
  },
  'an error after a stream': (_req, reply) => {
    reply.header('content-length', small.length).send(fs.createReadStream(file('small.bin')));
    throw new Error('late');
  },
};

/** `race` is what a handler does; its client reads only once that is done. */
async function scenario(make, extend) {
  let done;
  const raced = new Promise((resolve) => {
    done = resolve;
  });
  const state = await serve(make, { extend: (app, note) => extend(app, note, done) });
  const client = connect(state.port);
  client.send('/race', 'GET');
  await raced;
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
  // Express tells a handler that has come too late one or the other, as it has come to look.
  const late = (seen) =>
    seen.map((what) => what.replace(/called back: (500|ECONNABORTED)$/, 'came too late'));
  expect(late(ours.seen)).toEqual(late(plain.seen));
  const { body, ...rest } = ours.response ?? {};
  const { body: expected, ...head } = plain.response ?? {};
  // Of a connection that is destroyed a client gets as much as luck has it.
  if (head.whole) {
    expect(rest).toEqual(head);
    expectBytes(body, expected);
  } else {
    expect(rest.whole).not.toBe(true);
    if (body) expectBytes(body, files['huge.bin'].subarray(0, body.length));
  }
  expect(ours.again?.status).toBe(plain.again?.status);
}

describeApps(['Express 5', 'Express 4'], ({ make }) => {
  test.each(Object.entries(express))('%s', async (_name, race) => {
    const extend = (app, note, done) => {
      app.get('/race', (req, res, next) => {
        Promise.resolve(race(req, res, next, note)).then(done);
      });
    };
    expectSame(await both(() => scenario(make, extend)));
  });

  // Both have passed the look whether anything is sent before either has sent: Node mixes their bytes, and so does
  // register. What can be kept is that each is called back, once, and that the server goes on.
  test('two files in one turn: each is called back once', async () => {
    const extend = (app, note, done) => {
      app.get('/race', (_req, res) => {
        res.sendFile(file('small.bin'), (error) => note(`first called back: ${codeOf(error)}`));
        res.sendFile(file('one.bin'), (error) => note(`second called back: ${codeOf(error)}`));
        done();
      });
    };
    const { plain, ours } = await both(() => scenario(make, extend));
    for (const { seen, response } of [plain, ours]) {
      expect(response.status).toBe(200);
      for (const which of ['first', 'second']) {
        expect(seen.filter((what) => what.startsWith(`${which} called back`))).toHaveLength(1);
      }
    }
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
    // Whether a write or a read hears of the reset first is luck; after a write has, Node lets an end be a 'finish'.
    const certain = (seen) => seen.filter((what) => what !== 'response finish' && what !== 'ended');
    expect(certain(ours)).toEqual(certain(plain));
    expect(ours).toContain('called back: ECONNABORTED');
  });
});

describeApps(['Koa'], ({ make }) => {
  test.each(Object.entries(koa))('%s', async (_name, race) => {
    const extend = (app, _note, done) => {
      app.silent = true;
      app.use((ctx, next) => {
        if (ctx.path !== '/race') return next();
        done();
        return race(ctx);
      });
    };
    expectSame(await both(() => scenario(make, extend)));
  });
});

describeApps(['Fastify'], ({ make }) => {
  test.each(Object.entries(fastify))('%s', async (_name, race) => {
    const extend = (app, _note, done) => {
      app.get('/race', (req, reply) => {
        done();
        race(req, reply);
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
