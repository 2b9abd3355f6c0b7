'use strict';

/**
 * `npm run test:emulated -- --host`: the tests of `npm test` over the package as it was installed. They lie in its own
 * folder there, so that `..` is what users have; `--rootDir` names it.
 */

/** What looks at the working tree itself, of which a package has nothing. */
const OF_THE_TREE = {
  'bench.test.js': 'benchmark/ is not published',
  'framework-suites.test.js': 'scripts/ is not published',
  'packages.test.js': 'scripts/ is not published',
  'prebuild.test.js': 'scripts/ is not published',
  'status-page.test.js': 'examples/ is not published',
  'status.test.js': 'examples/ is not published',
  'tidy.test.js': 'reads the sources and the manifests of the tree',
  'workflows.test.js': 'scripts/ and .github/ are not published',
};

module.exports = {
  ...require('./jest.config'),
  // jest looks past node_modules otherwise.
  haste: { retainAllFiles: true },
  testPathIgnorePatterns: Object.keys(OF_THE_TREE).map((name) => `/__test__/${name.replaceAll('.', '\\.')}$`),
};
Object.defineProperty(module.exports, 'OF_THE_TREE', { value: OF_THE_TREE });
