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

module.exports = { HttpClient, connect, httpServer, paces };
