'use strict';

/** `npm run test:examples`: each example as a user starts it. */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/examples/*.test.js'],
  testTimeout: 30_000,
  maxWorkers: 1,
};
