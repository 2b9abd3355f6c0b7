'use strict';

/** Express, Koa, Fastify and the rest under `rs-sendfile/register`. Once a CI run, on the Node at hand. */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/frameworks/*.test.js'],
  testTimeout: 60_000,
  maxWorkers: 1,
};
