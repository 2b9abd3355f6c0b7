'use strict';

/** `npm run test:heavy`: what is too long to run on every Node. Once a CI run, on the Node at hand. */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/heavy/**/*.test.js'],
  testTimeout: 300_000,
  maxWorkers: 1,
};
