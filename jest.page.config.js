'use strict';

/** `npm run test:page`: the status page in a browser. Once a CI run, on the Node at hand. */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/page/*.test.js'],
  testTimeout: 60_000,
  maxWorkers: 1,
};
