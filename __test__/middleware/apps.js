'use strict';

/**
 * One small program per framework, which sends the files of one directory in every way the framework has:
 * `/way/file`. It notes what it is told: callbacks, errors, hooks.
 */

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { pipeline } = require('node:stream');
const express4 = require('express-4');
const express5 = require('express');
const fastify = require('fastify');
const fastifyStatic = require('@fastify/static');
const Koa = require('koa');
const koaSend = require('koa-send');
const koaStatic = require('koa-static');
const serveHandler = require('serve-handler');
const sirv = require('sirv');
const { pattern, tmpPath } = require('../helpers');

const files = {
  // Far more than a socket takes with the pieces that are queued for it.
  'huge.bin': pattern(40_000_000, 4),
  'large.bin': pattern(6_000_000, 5),
  'small.bin': pattern(20_011, 6),
  'text.txt': Buffer.from('a line of text\n'.repeat(20_000)),
  'one.bin': Buffer.from('1'),
  'empty.bin': Buffer.alloc(0),
};
const root = tmpPath('public');
fs.mkdirSync(root);

const then = new Date('2020-02-02T02:02:02Z');
for (const [name, bytes] of Object.entries(files)) {
  fs.writeFileSync(path.join(root, name), bytes);
  fs.utimesSync(path.join(root, name), then, then);
}

/** How an error reads in a record. */
function codeOf(error) {
  return error ? (error.code ?? error.status ?? error.message) : 'no error';
}

/**
 * @typedef {object} App
 * @property {(req: any, res: any) => void} handler
 * @property {() => Promise<void>} [close]
 */

/** @param {any} express */
function expressApp(express) {
  return (note, extend) => {
    const app = express();
    extend?.(app);
    app.get('/sendFile/:name', ({ params }, res, next) => {
      res.sendFile(params.name, { root }, (error) => {
        note(`sendFile called back: ${codeOf(error)}`);
        if (error && !res.headersSent) next(error);
      });
    });
    app.get('/sendFile-alone/:name', ({ params }, res) => res.sendFile(params.name, { root }));
    app.get('/download/:name', ({ params }, res, next) => {
      res.download(path.join(root, params.name), 'a name.bin', (error) => {
        note(`download called back: ${codeOf(error)}`);
        if (error && !res.headersSent) next(error);
      });
    });
    app.use('/static', express.static(root));
    app.use((error, _req, _res, next) => {
      note(`error handler: ${codeOf(error)}`);
      next(error);
    });
    return { handler: app };
  };
}

function koaApp(note, extend) {
  const app = new Koa();
  app.on('error', (error) => note(`app error: ${codeOf(error)}`));
  extend?.(app);
  const serve = koaStatic(root);
  app.use(async (ctx, next) => {
    const [, way, name] = ctx.path.split('/');
    if (way === 'koa-send') await koaSend(ctx, name, { root });
    else if (way === 'body') ctx.body = fs.createReadStream(path.join(root, name));
    else if (way === 'koa-static') {
      ctx.path = `/${name}`;
      await serve(ctx, next);
    } else await next();
    note('the middleware is through');
  });
  return { handler: app.callback() };
}

async function fastifyApp(note, extend) {
  let handler;
  const serverFactory = (own) => {
    handler = own;
    return http.createServer();
  };
  const app = fastify({ serverFactory });
  app.addHook('onError', async (_req, _reply, error) => note(`onError: ${codeOf(error)}`));
  app.addHook('onResponse', async (_req, _reply) => note('onResponse'));
  app.addHook('onRequestAbort', async (_req) => note('onRequestAbort'));
  await extend?.(app);
  app.register(fastifyStatic, { root, prefix: '/static/' });
  app.get('/sendFile/:name', ({ params }, reply) => reply.sendFile(params.name));
  app.get('/download/:name', ({ params }, reply) => reply.download(params.name, 'a name.bin'));
  app.get('/stream/:name', ({ params }, reply) => {
    reply.send(fs.createReadStream(path.join(root, params.name)));
  });
  await app.ready();
  return { handler, close: () => app.close() };
}

function plainApp(note) {
  const ways = {
    pipe: (_req, res, name) => fs.createReadStream(path.join(root, name)).pipe(res),
    pipeline: (_req, res, name) => {
      const called = (error) => note(`pipeline called back: ${codeOf(error)}`);
      pipeline(fs.createReadStream(path.join(root, name)), res, called);
    },
    sirv: (req, res, name) => {
      req.url = `/${name}`;
      assets(req, res);
    },
    'serve-handler': (req, res, name) => {
      req.url = `/${name}`;
      serveHandler(req, res, { public: root });
    },
  };
  const assets = sirv(root, { dev: true });
  const handler = (req, res) => {
    const [, way, name] = req.url.split('/');
    ways[way](req, res, name);
  };
  return { handler };
}

const FASTIFY_NODE = 20;
const node = Number(process.versions.node.split('.')[0]);

/**
 * `make(note, extend)`: the program. `extend(app)`: what a test has it do first. `ways`: how it sends files. `wanting`:
 * why it cannot be run here.
 */
const apps = {
  'Express 5': { make: expressApp(express5), ways: ['sendFile', 'sendFile-alone', 'download', 'static'] },
  'Express 4': { make: expressApp(express4), ways: ['sendFile', 'sendFile-alone', 'download', 'static'] },
  Koa: { make: koaApp, ways: ['koa-send', 'koa-static', 'body'] },
  Fastify: {
    make: fastifyApp,
    ways: ['sendFile', 'download', 'static', 'stream'],
    wanting: node < FASTIFY_NODE ? `fastify 5 wants Node ${FASTIFY_NODE}` : undefined,
  },
  'Node, sirv, serve-handler': { make: plainApp, ways: ['pipe', 'pipeline', 'sirv', 'serve-handler'] },
};

/** `describe` for each program that runs here. */
function describeApps(names, run) {
  for (const name of names) {
    const { wanting } = apps[name];
    if (wanting) {
      process.stderr.write(`${name}: ${wanting}\n`);
      describe.skip(`${name} (${wanting})`, () => run(apps[name], name));
    } else describe(name, () => run(apps[name], name));
  }
}

module.exports = { apps, describeApps, codeOf, files, root };
