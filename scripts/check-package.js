'use strict';

/**
 * `npm run check:package`: packs the main package as it is published, and looks at the tarball: what it holds, what its
 * package.json says, publint, Are the Types Wrong, and whether a user finds what the README promises, without a binary
 * and with one that was built from the installed package, by the README's own lines. The last line is
 * `N passed, N failed`.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { prebuilt } = require('../lib/prebuilt');
const { ensure } = require('./ensure');
const { missing, missingModules, unexpected } = require('./prebuild/contents');
const { packageName } = require('./prebuild/manifests');
const { packMain } = require('./prebuild/pack');

const root = path.join(__dirname, '..');
/** A user's project, where no node_modules of ours is found. */
const project = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-check-package-'));
process.once('exit', () => fs.rmSync(project, { recursive: true, force: true }));
const installed = path.join(project, 'node_modules', 'rs-sendfile');
const DEV_ONLY = ['devDependencies', 'scripts', 'napi'];

let passed = 0;
let failed = 0;

/** Counts one check: it holds if nothing is wrong. */
function check(what, wrong) {
  const lines = [wrong ?? []].flat();
  if (lines.length === 0) passed++;
  else failed++;
  console.log([`${lines.length === 0 ? 'ok' : 'FAIL'} ${what}`, ...lines].join('\n  '));
}

async function main() {
  ensure({ rust: true });
  const { tarball, files } = packMain();
  console.log(path.relative(root, tarball));
  unpack(tarball);
  checkContents(files);
  checkManifest();
  await checkByPublint(tarball);
  checkTypes(tarball);
  check('without a binary, everything loads and transfers copy', use('copy'));
  check("from source, by the README's lines, the kernel sends", buildFromSource() ?? use('sendfile'));
  if (failed > 0) process.exitCode = 1;
  console.log(`${passed} passed, ${failed} failed`);
}

function unpack(tarball) {
  fs.mkdirSync(installed, { recursive: true });
  const args = ['-xzf', tarball, '--strip-components=1', '-C', installed];
  const { status, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar: ${stderr}`);
}

function checkContents(files) {
  check('nothing unexpected is in it', unexpected(files));
  check('nothing is missing in it', missing(files));
  const sources = files
    .filter((file) => file.endsWith('.rs'))
    .map((file) => /** @type {const} */ ([file, fs.readFileSync(path.join(installed, file), 'utf8')]));
  check('every Rust file that another names is in it', missingModules(new Map(sources)));
}

function checkManifest() {
  const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
  const wanted = prebuilt.map((platform) => `${packageName(platform)} ${manifest.version}`);
  const named = Object.entries(manifest.optionalDependencies).map((entry) => entry.join(' '));
  check('it asks for the binary of every platform, in its own version', differences(named, wanted));
  check(
    'nothing that only development needs is in its package.json',
    DEV_ONLY.filter((field) => field in manifest),
  );
  check('it depends on nothing else', Object.keys(manifest.dependencies ?? {}));
}

function differences(found, wanted) {
  return [
    ...wanted.filter((item) => !found.includes(item)).map((item) => `missing: ${item}`),
    ...found.filter((item) => !wanted.includes(item)).map((item) => `unexpected: ${item}`),
  ];
}

async function checkByPublint(tarball) {
  const { publint } = await import('publint');
  const { formatMessage } = await import('publint/utils');
  const { buffer } = new Uint8Array(fs.readFileSync(tarball));
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, level: 'suggestion', strict: true });
  check(
    'publint',
    messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code),
  );
}

/** By "Are the Types Wrong?": one check for each entry point. */
function checkTypes(tarball) {
  const cli = require.resolve('@arethetypeswrong/cli/package.json').replace('package.json', 'dist/index.js');
  // Into a file: it ends without waiting for a pipe to take what it has written.
  const report = path.join(project, 'types.json');
  const out = fs.openSync(report, 'w');
  const { stderr } = spawnSync(process.execPath, [cli, tarball, '--format', 'json'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', out, 'pipe'],
    timeout: 2 * 60 * 1000,
  });
  fs.closeSync(out);
  let analysis;
  try {
    ({ analysis } = JSON.parse(fs.readFileSync(report, 'utf8')));
  } catch {
    return check('the types', `attw made no report: ${stderr}`);
  }
  const words = ({ kind, entrypoint, resolutionKind }) =>
    [kind, entrypoint, resolutionKind].filter(Boolean).join(' ');
  for (const name of Object.keys(analysis.entrypoints)) {
    const wrong = analysis.problems.filter(({ entrypoint }) => (entrypoint ?? '.') === name);
    check(`the types of rs-sendfile${name.slice(1)}`, wrong.map(words));
  }
}

/**
 * Builds the installed package's binary by the README's lines: with no registry, and in a project that has Rust of its own.
 * @returns {string | null} what is wrong
 */
function buildFromSource() {
  fs.writeFileSync(path.join(project, 'Cargo.toml'), '[workspace]\nmembers = []\n');
  const lines = /### From source\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(
    fs.readFileSync(path.join(installed, 'README.md'), 'utf8'),
  );
  if (lines === null) return 'the README has no lines for it under "### From source"';
  const fetched = spawnSync('cargo', ['fetch', '--locked', '--quiet'], { cwd: root, stdio: 'inherit' });
  if (fetched.status !== 0) return 'its crates could not be had';
  const env = { ...process.env, CARGO_NET_OFFLINE: 'true' };
  delete env.CARGO_TARGET_DIR;
  const options = { cwd: project, encoding: /** @type {const} */ ('utf8'), env, timeout: 10 * 60 * 1000 };
  const { status, stderr } = spawnSync('sh', ['-e', '-c', lines[1]], options);
  return status === 0 ? null : `${lines[1]}failed: ${stderr.trim().split('\n').slice(-20).join('\n')}`;
}

/** Sends a file in the user's project, in the way that is expected. @returns {string | null} what is wrong */
function use(method) {
  const env = { ...process.env };
  for (const name of ['NAPI_RS_NATIVE_LIBRARY_PATH', 'RS_SENDFILE_DISABLE', 'NODE_OPTIONS']) delete env[name];
  fs.copyFileSync(path.join(__dirname, 'prebuild', 'use.mjs'), path.join(project, 'use.mjs'));
  const { status, stderr } = spawnSync(process.execPath, ['use.mjs', method], {
    cwd: project,
    encoding: 'utf8',
    env,
    timeout: 60 * 1000,
  });
  return status === 0 ? null : stderr.trim() || `it ended with ${status}`;
}

main();
