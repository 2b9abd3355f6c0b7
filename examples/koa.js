'use strict';

/**
 * Koa: a handler that awaits a transfer, and koa-static and koa-send, whose streams are transfers once `register` is
 * there. `npm run example -- koa [dir] [--port N]`
 */

const register = require('../register');
const http = require('node:http');
const path = require('node:path');
const Koa = require('koa');
const send = require('koa-send');
const serve = require('koa-static');
const { transfer } = require('..');
const { readOptions } = require('./lib/options');
const { selectRange } = require('./lib/range');
const { decode, findFile, stayInside } = require('./lib/resource');
const { announce, closeServer, endOnSignal, listen, sampleOf } = require('./lib/serve');

const { root, port } = readOptions(process.argv.slice(2), { name: 'koa' });

const app = new Koa();

// What a middleware throws comes here, and is answered by Koa if nothing has been sent yet. A client that leaves is no
// error of ours.
const LEFT = ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE'];
app.on('error', (error) => {
  if (!LEFT.includes(error.code) && !(error.status < 500)) console.error(error);
});

// A handler of your own, with ranges, which koa-send has not: /transfer/NAME.
app.use(async (ctx, next) => {
  const name = below('/transfer/', ctx.path);
  if (name === undefined) return next();
  if (ctx.method !== 'GET' && ctx.method !== 'HEAD') ctx.throw(405, { headers: { Allow: 'GET, HEAD' } });
  const { file, stat } = await findFile(root, decode(name));
  const { status, headers, offset, length } = selectRange(ctx.req, stat);
  ctx.status = status; // Koa begins with 404
  ctx.set(headers);
  ctx.type = path.extname(file);
  try {
    await transfer(ctx.res, file, { offset, length });
    // Ended before this returns: Koa sees that, and leaves the response alone, without `ctx.respond = false`. What the
    // transfer throws is Koa's to handle as ever.
    ctx.res.end();
  } catch (error) {
    // It is too late for Koa to answer: then half a file must not look like the whole.
    if (ctx.headerSent) ctx.res.destroy();
    throw error;
  }
});

// koa-send and koa-static follow links wherever they lead: these may not lead out.
app.use(async (ctx, next) => {
  await stayInside(root, (below('/send', ctx.path) ?? ctx.path) || '/');
  await next();
});

// A file by koa-send: /send/NAME.
app.use(async (ctx, next) => {
  const name = below('/send/', ctx.path);
  if (name === undefined || !/^(GET|HEAD)$/.test(ctx.method)) return next();
  await send(ctx, name, { root, gzip: false, brotli: false }).catch((error) => {
    error.expose = false; // its message has the path on this machine
    throw error;
  });
});

// Everything else.
app.use(serve(root, { gzip: false, brotli: false }));

/** The rest of a path below `prefix`. */
function below(prefix, whole) {
  return whole.startsWith(prefix) ? whole.slice(prefix.length) : undefined;
}

const server = http.createServer(app.callback());
listen(server, port, (actual) => {
  announce('koa', root, `curl http://127.0.0.1:${actual}/transfer/${sampleOf(root)}`);
});
endOnSignal(() => {
  closeServer(server);
  const { completed, bytes } = register.stats();
  console.log(`register has sent ${completed} files, ${bytes} bytes`);
});
