'use strict';

/**
 * `npm run test:frameworks [-- package ...]`: the frameworks' own test suites, unmodified, with this package underneath.
 * Each is run without it, which tells what its cases are and how they end; with `node -r rs-sendfile/register`, where
 * the same cases must end the same and streams must have been taken; so again with all of those sent by the kernel, as
 * small files are not by themselves; and so again with RS_SENDFILE_DISABLE=1, where they are copied. frameworks/suites.js has the list. The last line is `N passed, N failed`; what cannot be had is 1
 * failed.
 */

const path = require('node:path');
const { ensure } = require('./ensure');
const { getModules } = require('./frameworks/modules');
const { faults } = require('./frameworks/report');
const { runSuite } = require('./frameworks/run');
const { SUITES } = require('./frameworks/suites');

const WAYS = [
  // Whoever runs this may have said otherwise.
  { title: 'register', env: { RS_SENDFILE_DISABLE: '' } },
  {
    title: 'register, by the kernel',
    env: { RS_SENDFILE_DISABLE: '', RS_SENDFILE_FRAMEWORKS_METHOD: 'sendfile' },
    byKernel: true,
  },
  { title: 'register, RS_SENDFILE_DISABLE=1', env: { RS_SENDFILE_DISABLE: '1' } },
];
/** Some suites have races of their own: a measure that broke off is taken again, what is measured is not. */
const CONTROLS = 3;
/** A run that goes wrong altogether is told by its first differences. */
const SHOWN = 40;

async function main(wanted) {
  ensure();
  const cache = path.join(__dirname, '..', 'node_modules', '.cache', 'frameworks');
  const total = { passed: 0, failed: 0 };
  for (const code of wanted.filter((code) => SUITES.every((suite) => suite.code !== code))) {
    console.error(
      `FAIL  ${code}: there is no such suite, but ${SUITES.map((suite) => suite.code).join(', ')}`,
    );
    total.failed++;
  }
  for (const suite of SUITES.filter(({ code }) => wanted.length === 0 || wanted.includes(code))) {
    const { passed, failed } = await test(suite, cache).catch((error) => {
      console.error(`FAIL  ${suite.name}: ${error.message}`);
      return { passed: 0, failed: 1 };
    });
    total.passed += passed;
    total.failed += failed;
  }
  process.exitCode = total.failed === 0 ? 0 : 1;
  console.log(`${total.passed} passed, ${total.failed} failed`);
}

async function test(suite, cache) {
  const { node } = process.versions;
  if (Number(node.split('.')[0]) < suite.node) {
    console.log(`\n== ${suite.name}: left out, it wants Node ${suite.node} or later and this is ${node}`);
    return { passed: 0, failed: 0 };
  }
  const modules = getModules(cache);
  const { version } = require(path.join(modules, suite.code, 'package.json'));
  const where = { modules, tests: suite.tests?.(cache, version) };
  console.log(`\n== ${suite.name}, ${suite.code} ${version}`);

  const control = await measure(suite, where);
  const failing = control.cases.filter(({ state }) => state === 'fail');
  console.log(`      without: ${control.cases.length} cases, ${failing.length} of them fail`);
  for (const { name } of failing) console.log(`      fails without register too: ${name}`);

  const total = { passed: 0, failed: 0 };
  for (const { title, env, byKernel } of WAYS) {
    const run = await runSuite(suite, where, { registered: true, env });
    const wrong = faults(control, run);
    if (byKernel && run.stats.sent === 0) wrong.push('the kernel has sent nothing: it has shown nothing');
    const passed = run.cases.filter(({ state }) => state === 'pass').length;
    console.log(`${wrong.length === 0 ? 'ok  ' : 'FAIL'}  ${title}: ${passed} pass; ${told(run.stats)}`);
    for (const line of wrong.slice(0, SHOWN)) console.error(`      ${line}`);
    if (wrong.length > SHOWN) console.error(`      and ${wrong.length - SHOWN} more`);
    if (wrong.length > 0) console.error(run.tail);
    total.passed += passed;
    total.failed += wrong.length;
  }
  return total;
}

/** The suite without register. */
async function measure(suite, where) {
  for (let i = 0; i < CONTROLS; i++) {
    const control = await runSuite(suite, where);
    if (!control.end.late && control.cases.length >= suite.cases) return control;
    console.error(control.tail);
    console.error(`      without: ${control.cases.length} cases of ${suite.cases}, it broke off`);
  }
  throw new Error('it does not come to its end without register either');
}

function told({ taken, completed, failed, bytes, sent, left }) {
  const reasons = Object.entries(left).map(([reason, count]) => `${reason} ${count}`);
  return (
    `taken ${taken} (completed ${completed}, failed ${failed}, ${bytes} bytes; ${sent} by the kernel), ` +
    `left ${reasons.join(', ') || 'none'}`
  );
}

// 'exit' ends the process group of a suite that runs.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

main(process.argv.slice(2));
