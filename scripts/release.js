'use strict';

/**
 * `npm run release:check`: whether the tag that is being released (`GITHUB_REF_NAME`, or an argument) is this version's,
 * and the package says what a release must.
 *
 * `npm run release:publish [-- --provenance] [--dry-run]`: publishes what `npm run build:all` has left in target/packages,
 * the platforms' packages first, so that the main one never names what does not exist. What is published already is left
 * alone, so a run that broke off may be started again; it ends at the first that cannot be published.
 *
 * The last line is `N passed, N failed`.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { prebuilt } = require('../lib/prebuilt');

const root = path.join(__dirname, '..');

/**
 * What keeps this tree from being released.
 * @param {object} tree
 * @param {{ version: string, repository?: string | { url: string } }} tree.manifest
 * @param {string} tree.changelog
 * @param {string | undefined} tree.tag
 * @param {string | undefined} tree.repository `owner/name` of where this runs
 * @returns {Record<string, string | null>} what is wrong, by what was looked at
 */
function checks({ manifest, changelog, tag, repository }) {
  const { version } = manifest;
  const heading = /^## .*$/m.exec(changelog)?.[0] ?? '';
  const url = typeof manifest.repository === 'string' ? manifest.repository : manifest.repository?.url;
  return {
    tag:
      tag === `v${version}` ? null : `the tag is ${tag ?? 'missing'}, and package.json's version ${version}`,
    changelog: new RegExp(`^## ${version.replaceAll('.', '\\.')} - \\d{4}-\\d\\d-\\d\\d$`).test(heading)
      ? null
      : `the newest heading of CHANGELOG.md is "${heading}": it needs this version and its day`,
    // npm compares it with where the package was built before it takes the provenance.
    repository:
      url && (!repository || url.replace(/\.git$/, '').endsWith(`/${repository}`))
        ? null
        : `package.json's repository is ${url ?? 'missing'}, and has to name ${repository ?? 'where this is kept'}`,
  };
}

function check([tag = process.env.GITHUB_REF_NAME]) {
  const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
  const all = Object.entries(
    checks({
      manifest: JSON.parse(read('package.json')),
      changelog: read('CHANGELOG.md'),
      tag,
      repository: process.env.GITHUB_REPOSITORY,
    }),
  );
  const wrong = all.filter(([, why]) => why !== null);
  for (const [, why] of wrong) console.log(`rs-sendfile: ${why}`);
  finish(all.length - wrong.length, wrong.length);
}

function publish(args) {
  const directory = process.env.RS_SENDFILE_PACKAGES ?? path.join(root, 'target', 'packages');
  const { name: main, version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  const names = [...prebuilt.map(({ name }) => `${main}-${name}`), main];
  const files = names.map((name) => path.join(directory, `${name}-${version}.tgz`));
  const missing = files.filter((file) => !fs.existsSync(file));
  if (missing.length > 0) {
    for (const file of missing) console.log(`rs-sendfile: there is no ${file}: npm run build:all makes it`);
    return finish(0, missing.length);
  }
  let passed = 0;
  for (const [index, name] of names.entries()) {
    const there = isPublished(name, version);
    if (there === true) console.log(`${name}@${version}: is published already`);
    else if (there === null || !npm(['publish', files[index], '--access', 'public', ...args]))
      return finish(passed, 1);
    passed++;
  }
  finish(passed, 0);
}

/** Null if npm could not tell, which it has said. */
function isPublished(name, version) {
  const { status, stdout, stderr } = run(['view', `${name}@${version}`, 'version'], 'pipe');
  // Of a package that exists, npm answers a version that does not with nothing.
  if (status === 0) return stdout.trim() !== '';
  if (/\bE404\b/.test(stderr)) return false;
  console.error(stderr);
  return null;
}

const npm = (args) => run(args, 'inherit').status === 0;

function run(args, output) {
  const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', output, output] };
  const cli = process.env.npm_execpath;
  return /npm-cli\.js$/.test(cli ?? '')
    ? spawnSync(process.execPath, [cli, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}

function finish(passed, failed) {
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed`);
}

module.exports = { checks };

if (require.main === module) {
  const [what, ...args] = process.argv.slice(2);
  if (what === 'check') check(args);
  else publish(args);
}
