'use strict';

/** Express, Koa, Fastify and the rest under `rs-sendfile/register`. Once a CI run, on the Node at hand. */

module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/middleware/*.test.js'],
  testTimeout: 60_000,
  maxWorkers: 1,
  // Part of what @fastify/static stands on is an ES module.
  transform: { 'node_modules/content-disposition/.+\\.js$': '<rootDir>/__test__/middleware/to-commonjs.js' },
  transformIgnorePatterns: ['/node_modules/(?!content-disposition/)'],
};
