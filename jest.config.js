'use strict';

module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__test__/*.test.js'],
  testTimeout: 60_000,
  // One file at a time: tests that measure the event loop or the CPU must not measure each other.
  maxWorkers: 1,
};
