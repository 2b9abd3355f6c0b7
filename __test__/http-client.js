'use strict';

/** Clients and servers of HTTP/1.1 that end with their test. */

const net = require('node:net');
const helpers = require('./helpers');
const { HttpClient, paces } = require('./http-reader');

/** What a test has opened; a test that fails must not leave it to the next. */
const opened = new Set();

afterEach(async () => {
  const closers = [...opened];
  opened.clear();
  await Promise.all(closers.map((close) => close()));
});

/** A client that is connected to this port. */
function connect(port, pace) {
  const client = new HttpClient(net.connect({ host: '127.0.0.1', port }), pace);
  const close = () => client.destroy();
  opened.add(close);
  client.socket.once('close', () => opened.delete(close));
  return client;
}

/** An HTTP server that ends with the test: `{ server, port }`. */
async function httpServer(handler, options) {
  const { server, port, close } = await helpers.httpServer(handler, options);
  opened.add(close);
  return { server, port };
}

/**
 * Two requests in one go: the first is answered by `handler`, the second with a text. Gives the first response, every
 * byte that came after it, and what the handler has returned; throws what it has thrown.
 */
async function exchange(handler) {
  const results = [];
  const { port } = await httpServer((req, res) => {
    if (req.url === '/next') return res.end('the next');
    const result = Promise.resolve(handler(res, req));
    result.catch(() => res.destroy());
    results.push(result);
  });
  const client = connect(port);
  client.send('/');
  client.send('/next', 'GET', ['Connection: close']);
  const response = await client.response();
  const after = await client.rest();
  const [result] = await Promise.all(results);
  return { response, after, result };
}

/** So many requests on this connection, one after the other, are each answered with just these bytes. */
async function expectBodies(client, count, bytes) {
  for (let i = 0; i < count; i++) {
    client.send(`/${i}`);
    const { body, whole } = await client.response();
    expect([whole, body.equals(bytes)]).toEqual([true, true]);
  }
}

module.exports = { HttpClient, connect, exchange, expectBodies, httpServer, paces };
