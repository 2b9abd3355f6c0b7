'use strict';

/** What `npm run test:frameworks` says of a suite, with small suites of our own. */

const fs = require('node:fs');
const path = require('node:path');
const { asSources } = require('../scripts/frameworks/debian');
const report = require('../scripts/frameworks/report');
const { runSuite } = require('../scripts/frameworks/run');
const { pattern, tmpFile, tmpPath, until } = require('./helpers');

const SIZE = 100_000;
const reporter = require.resolve('../scripts/frameworks/reporter');
const file = JSON.stringify(tmpFile(pattern(SIZE, 5)));

/** Pipes a file into a response. */
const download = `
  const http = require('node:http');
  const download = () => new Promise((resolve) => {
    const server = http.createServer((req, res) => require('node:fs').createReadStream(${file}).pipe(res));
    server.listen(0, '127.0.0.1', () => {
      http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (response) => {
        response.resume().on('end', () => server.close(resolve));
      });
    });
  });
`;
const registered = `const registered = process.env.NODE_OPTIONS?.includes('register.js');`;

/** A suite of one file with this text: a run without register, and one with it. */
async function runBoth(text, how) {
  const modules = tmpPath('modules');
  const test = path.join(modules, 'framework', 'test', 'it.js');
  fs.mkdirSync(path.dirname(test), { recursive: true });
  fs.writeFileSync(test, `const { test } = require('node:test');\n${registered}\n${download}\n${text}`);
  const suite = {
    code: 'framework',
    args: (to) => [
      '--test',
      `--test-reporter=${reporter}`,
      `--test-reporter-destination=${to}`,
      'test/it.js',
    ],
    read: report.readLines,
  };
  const control = await runSuite(suite, { modules }, { env: { NODE_OPTIONS: '' } });
  const run = await runSuite(suite, { modules }, { registered: true, ...how });
  return { control, run, faults: report.faults(control, run) };
}

test('a suite whose cases end alike passes, and what its processes took is summed up', async () => {
  const { control, run, faults } = await runBoth(`
    const { fork } = require('node:child_process');
    if (process.argv[2] === 'child') download();
    else test('outer', async (t) => {
      await t.test('inner', download);
      await t.test('child', (t, done) => { fork(__filename, ['child']).on('exit', done); });
    });
  `);
  expect(faults).toEqual([]);
  expect(control.cases.map(({ name, state }) => [name.split(' > ').slice(-2).join(' > '), state])).toEqual(
    expect.arrayContaining([
      ['outer > inner', 'pass'],
      ['outer > child', 'pass'],
    ]),
  );
  expect(control.stats.taken).toBe(0);
  expect(run.stats).toMatchObject({ taken: 2, completed: 2, failed: 0, bytes: 2 * SIZE });
});

test('a case that fails with register alone, and one that does not run, are named', async () => {
  const { faults } = await runBoth(`
    test('steady', download);
    test('broken', () => { if (registered) throw new Error('seen by somebody'); });
    if (!registered) test('gone', () => {});
  `);
  expect(faults).toEqual(
    expect.arrayContaining([
      'exit code 1, without register exit code 0',
      expect.stringMatching(/\bbroken: pass -> fail: seen by somebody$/),
      expect.stringMatching(/\bgone: did not run$/),
    ]),
  );
  expect(faults.filter((fault) => fault.includes('steady'))).toEqual([]);
});

test('a suite in which nothing was taken has shown nothing', async () => {
  const { faults } = await runBoth(`test('idle', () => {});`);
  expect(faults).toEqual(['nothing was taken: it has shown nothing']);
});

test('a run that hangs is ended, with all that it has started', async () => {
  const pids = tmpPath('pids');
  const { run, faults } = await runBoth(
    `
      const { spawn } = require('node:child_process');
      test('hangs', async () => {
        if (!registered) return;
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
        require('node:fs').writeFileSync(${JSON.stringify(pids)}, process.pid + ' ' + child.pid);
        await new Promise((resolve) => child.on('exit', resolve));
      });
    `,
    { limit: 5000 },
  );
  expect(run.end).toMatchObject({ signal: 'SIGKILL', late: true });
  expect(faults[0]).toBe('it did not come to its end in time, and was ended');
  const all = fs.readFileSync(pids, 'utf8').split(' ').map(Number);
  expect(all).toHaveLength(2);
  await until(() => !all.some(isRunning), 'the end of its processes');
});

/** A process that has ended and that nobody has asked about yet (`Z`) runs no more. */
function isRunning(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)[0] !== 'Z';
  } catch (err) {
    if (err.code === 'ENOENT') return false;
    throw err;
  }
}

test('of mocha’s report, cases of one name are told apart', () => {
  const mocha = tmpFile(
    JSON.stringify({
      passes: [{ fullTitle: 'a' }, { fullTitle: 'a' }],
      failures: [{ fullTitle: 'a', err: { message: 'no' } }],
      pending: [{ fullTitle: 'b' }],
    }),
  );
  expect(report.readMocha(mocha).map(({ name, state, why }) => [name, state, why])).toEqual([
    ['a', 'pass', ''],
    ['a (2)', 'pass', ''],
    ['a (3)', 'fail', 'no'],
    ['b', 'left', ''],
  ]);
});

test('what failed without register may pass with it, and what is new may not fail', () => {
  const cases = (...states) => states.map((state, i) => ({ name: `case ${i}`, state, why: '' }));
  expect(report.differences(cases('fail', 'pass', 'left'), cases('pass', 'pass', 'left'))).toEqual([]);
  expect(report.differences(cases('fail'), cases('fail', 'fail'))).toEqual(['case 1: not there -> fail']);
  expect(report.differences(cases('pass'), cases('left'))).toEqual(['case 0: pass -> left']);
});

test('apt’s lists of either format are asked for sources', () => {
  const apt = tmpPath('apt');
  const parts = path.join(apt, 'sources.list.d');
  fs.mkdirSync(parts, { recursive: true });
  fs.writeFileSync(path.join(apt, 'sources.list'), '# deb a\ndeb [arch=amd64] b stable main\ndeb-src c\n');
  fs.writeFileSync(path.join(parts, 'new.sources'), 'Types: deb\nURIs: a\nSuites: b\n\nTypes: deb deb-src\n');
  fs.writeFileSync(path.join(parts, 'old.list.disabled'), 'deb a\n');
  const made = asSources(tmpPath('sources'), apt);
  expect(fs.readdirSync(made).sort()).toEqual(['new.sources', 'sources.list']);
  expect(fs.readFileSync(path.join(made, 'sources.list'), 'utf8')).toBe(
    '# deb a\ndeb-src [arch=amd64] b stable main\ndeb-src c\n',
  );
  expect(fs.readFileSync(path.join(made, 'new.sources'), 'utf8')).toBe(
    'Types: deb-src\nURIs: a\nSuites: b\n\nTypes: deb-src\n',
  );
});
