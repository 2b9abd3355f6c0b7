/**
 * The suites: whose tests, where they come from, and how their authors run them. The versions stand in package.json
 * beside this file. What neither npm nor Debian carries has no suite here.
 */

const path = require('node:path');
const { getTests } = require('./debian');
const report = require('./report');

/** Fastify 5 asks for it. */
const FASTIFY_NODE = 20;
const reporter = path.join(__dirname, 'reporter.js');

/** The arguments of Node for its own runner. */
const nodeTest = (files) => (file) => [
  '--test',
  `--test-reporter=${reporter}`,
  `--test-reporter-destination=${file}`,
  ...files,
];

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {string} code the package, in node_modules
 * @property {(cache: string, version: string) => string} [tests] where the tests are that its npm package lacks; throws
 *   if they cannot be had
 * @property {Record<string, string>} [links] symbolic links of its repository: npm packages hold none
 * @property {(report: string, modules: string) => string[]} args Node's, in the package's folder
 * @property {(file: string) => import('./report').Case[]} read the report
 * @property {number} cases that it has, at the least: a run that breaks off is not the measure of the others
 * @property {number} [node] the oldest that the framework runs on
 */

/** @type {Suite[]} */
const SUITES = [
  {
    name: 'Express',
    code: 'express',
    tests: (cache, version) =>
      getTests({ cache, source: 'node-express', version, folders: ['test', 'examples'] }),
    args: (file, modules) => [
      path.join(modules, 'mocha', 'bin', 'mocha.js'),
      ...['--require', 'test/support/env', '--check-leaks'],
      ...['--reporter', 'json', '--reporter-option', `output=${file}`],
      ...['test/', 'test/acceptance/'],
    ],
    read: report.readMocha,
    cases: 1260,
  },
  {
    name: '@fastify/send',
    code: '@fastify/send',
    args: nodeTest([]),
    read: report.readLines,
    cases: 213,
    node: FASTIFY_NODE,
  },
  {
    name: '@fastify/static',
    code: '@fastify/static',
    links: { 'test/static-symbolic-link/dir/symlink': '../origin' },
    args: (file, modules) => [
      path.join(modules, 'borp', 'borp.js'),
      ...['--reporter', `${reporter}:${file}`],
    ],
    read: report.readLines,
    cases: 390,
    node: FASTIFY_NODE,
  },
  {
    // The rest of Fastify's tests sends no file.
    name: 'Fastify: replies and streams',
    code: 'fastify',
    args: nodeTest([
      ...[1, 2, 3, 4, 5].map((n) => `test/stream.${n}.test.js`),
      'test/reply-error.test.js',
      'test/reply-trailers.test.js',
      'test/internals/reply.test.js',
    ]),
    read: report.readLines,
    cases: 200,
    node: FASTIFY_NODE,
  },
];

module.exports = { SUITES };
