'use strict';

/**
 * Fastify 5: a handler that awaits a transfer, and @fastify/static and `reply.send(stream)`, which are transfers once
 * `register` is there. `npm run example -- fastify [dir] [--port N]`
 */

const register = require('../register');
const fs = require('node:fs');
const Fastify = require('fastify');
const { lookup } = require('mrmime');
const { transfer } = require('..');
const { readOptions } = require('./lib/options');
const { selectRange } = require('./lib/range');
const { findFile, stayInside } = require('./lib/resource');
const { announce, endOnSignal, refuse, sampleOf } = require('./lib/serve');

const { root, port } = readOptions(process.argv.slice(2), { name: 'fastify' });

const app = Fastify({ forceCloseConnections: true });

// A handler of your own: /transfer/NAME.
app.get('/transfer/*', async (request, reply) => {
  const { file, stat } = await findFile(root, request.params['*']);
  const { status, headers, offset, length } = selectRange(request.raw, stat);
  // Opened here: whatever goes wrong up to this line is Fastify's to answer.
  const handle = await fs.promises.open(file);
  reply.hijack(); // Fastify leaves the response alone from here on
  const res = reply.raw;
  try {
    res.statusCode = status;
    for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...headers }))
      res.setHeader(name, value);
    res.setHeader('Content-Type', typeOf(file));
    await transfer(res, handle, { offset, length });
    res.end();
  } catch (error) {
    // The client has left, or would take half a file for the whole: nobody can be answered.
    res.destroy();
    request.log.info(error);
  } finally {
    await handle.close();
  }
});

// A stream, which register sends: /stream/NAME.
app.get('/stream/*', async (request, reply) => {
  const { file, stat } = await findFile(root, request.params['*']);
  reply.header('Content-Length', stat.size).type(typeOf(file));
  return reply.send(fs.createReadStream(file));
});

// Everything else, with ranges and conditional requests. Links may not lead out.
app.register(require('@fastify/static'), { root, dotfiles: 'ignore' });
app.addHook('onRequest', async (request) => {
  if (request.routeOptions.url === '/*') await stayInside(root, request.url);
});

function typeOf(file) {
  return lookup(file) ?? 'application/octet-stream';
}

app.listen({ port, host: '127.0.0.1' }).then(
  () => {
    const { port: actual } = app.server.address();
    announce('fastify', root, `curl http://127.0.0.1:${actual}/transfer/${sampleOf(root)}`);
  },
  (error) => refuse(port, error),
);
endOnSignal(async () => {
  await app.close();
  const { completed, bytes } = register.stats();
  console.log(`register has sent ${completed} files, ${bytes} bytes`);
});
