'use strict';

/**
 * Express 5: a handler that awaits a transfer, and Express's own ways to send a file, which are transfers as well once
 * `register` is there. `npm run example -- express [dir] [--port N]`
 */

const register = require('../register');
const http = require('node:http');
const path = require('node:path');
const express = require('express');
const { sendfile } = require('..');
const { readOptions } = require('./lib/options');
const { findFile, statusOf, stayInside } = require('./lib/resource');
const { announce, closeServer, endOnSignal, listen, sampleOf, videoOf } = require('./lib/serve');
const { standIn } = require('./lib/stand-in');

const { root, port } = readOptions(process.argv.slice(2), { name: 'express' });
const video = videoOf(root) ?? standIn('video.mp4', 8 << 20);

const app = express();
app.disable('x-powered-by');

// A handler of your own: /transfer/NAME. Express 5 hands a rejection to the error handler below; with Express 4, catch
// it and call next(error).
app.get('/transfer/*name', async (req, res) => {
  const { file } = await findFile(root, req.params.name.join('/'));
  res.type(path.extname(file));
  await sendfile(res, file); // sets Content-Length; a HEAD request gets no more than that
  res.end();
});

// A video to seek in: Express answers the ranges, register sends them.
app.get('/video', (_req, res) => {
  res.sendFile(path.basename(video), { root: path.dirname(video) });
});

// A file to save: /download/NAME.
app.get('/download/*name', async (req, res) => {
  const { file } = await findFile(root, req.params.name.join('/'));
  res.download(path.relative(root, file), path.basename(file), { root });
});

// Everything else. express.static follows links wherever they lead: these may not lead out.
app.use(async (req, _res, next) => {
  await stayInside(root, req.url);
  next();
});
app.use(express.static(root));

// Express knows it by its four arguments.
app.use((error, _req, res, _next) => {
  // A client that has left hears nothing more, and one that has got half a file must not take it for the whole.
  if (res.headersSent || res.destroyed) return res.destroy();
  const status = statusOf(error);
  if (status === 500) console.error(error);
  res
    .status(status)
    .set(error.headers ?? {})
    .type('text')
    .send(`${status} ${http.STATUS_CODES[status]}\n`);
});

const server = http.createServer(app);
listen(server, port, (actual) => {
  announce('express', root, `curl http://127.0.0.1:${actual}/transfer/${sampleOf(root)}`);
});
endOnSignal(() => {
  closeServer(server);
  const { completed, bytes } = register.stats();
  console.log(`register has sent ${completed} files, ${bytes} bytes`);
});
