'use strict';

/** `npm run test:copy`: the tests of `npm test` by another way, see `__test__/ways.js`. */
module.exports = {
  ...require('./jest.config'),
  setupFiles: ['<rootDir>/__test__/ways.js'],
};
