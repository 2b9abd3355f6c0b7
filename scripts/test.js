'use strict';

/**
 * `npm test [-- jest arguments]`: whatever is missing, then every check there is, each of them even if an earlier one
 * failed. The last line is `N passed, N failed`: the tests of cargo and jest together, and 1 failed for each check
 * that is not a test (format, lint, types) or each runner that ended before it could count.
 */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ensure } = require('./ensure');
const { cargoTotals, jestTotals } = require('./totals');

const root = path.join(__dirname, '..');

async function main(jestArgs) {
  ensure({ rust: true });
  const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-test-'));
  const jestReport = path.join(temp, 'jest.json');
  try {
    const steps = [
      ['cargo fmt', cargo('fmt', '--check')],
      ['cargo clippy', cargo('clippy', '--all-targets', '--', '-D', 'warnings')],
      [
        'cargo clippy, core only',
        cargo('clippy', '--all-targets', '--no-default-features', '--', '-D', 'warnings'),
      ],
      [
        'cargo clippy, probes',
        cargo('clippy', '--all-targets', '--features', 'probes', '--', '-D', 'warnings'),
      ],
      ['cargo test', cargo('test', '--no-default-features', '--no-fail-fast'), cargoTotals],
      ['biome', bin('@biomejs/biome', 'ci', '--error-on-warnings', '.')],
      ['tsc', bin('typescript', '--project', '.')],
      [
        'jest',
        bin('jest', '--json', `--outputFile=${jestReport}`, ...jestArgs),
        () => jestTotals(jestReport),
      ],
    ];
    const rows = [];
    for (const [name, command, totals] of steps) rows.push(await runStep(name, command, totals));
    summarize(rows);
  } finally {
    fs.rmSync(temp, { recursive: true, force: true });
  }
}

const cargo = (...args) => ['cargo', args];

/** A package's command, started by this Node: no shell, and no search on the PATH. */
function bin(name, ...args) {
  const manifest = path.join(root, 'node_modules', name, 'package.json');
  const { bin: bins } = JSON.parse(fs.readFileSync(manifest, 'utf8'));
  const file = typeof bins === 'string' ? bins : Object.values(bins)[0];
  return [process.execPath, [path.join(path.dirname(manifest), file), ...args]];
}

/**
 * @param {(output: string) => { passed: number, failed: number } | null} [totals]  what a test runner counted;
 *   null if it did not get that far
 */
async function runStep(name, [file, args], totals) {
  console.log(`\n== ${name}`);
  const started = Date.now();
  const { ok, output } = await run(file, args, totals === cargoTotals);
  const counted = totals ? totals(output) : { passed: 0, failed: 0 };
  const { passed, failed } = counted ?? { passed: 0, failed: 1 };
  // A runner that failed without a failed test has not run everything.
  return {
    name,
    ok,
    seconds: (Date.now() - started) / 1000,
    passed,
    failed: ok ? failed : Math.max(failed, 1),
  };
}

/** Output goes straight to the terminal; only what has to be read again comes through here. */
function run(file, args, keepOutput) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root,
      stdio: ['ignore', keepOutput ? 'pipe' : 'inherit', 'inherit'],
    });
    const chunks = [];
    child.stdout?.on('data', (chunk) => {
      process.stdout.write(chunk);
      chunks.push(chunk);
    });
    child.on('error', (err) => {
      console.error(err.message);
      resolve({ ok: false, output: '' });
    });
    child.on('close', (code) => resolve({ ok: code === 0, output: Buffer.concat(chunks).toString() }));
  });
}

function summarize(rows) {
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log('\n== summary');
  for (const { name, ok, seconds, passed, failed } of rows) {
    const counts = passed + failed > 0 ? `${passed} passed, ${failed} failed` : '';
    console.log(
      `${ok && failed === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(24)} ${seconds.toFixed(1).padStart(7)} s  ${counts}`,
    );
  }
  process.exitCode = sum('failed') === 0 ? 0 : 1;
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
}

main(process.argv.slice(2));
