'use strict';

/**
 * The packed packages in a folder of their own: what a user gets. npm chooses among all of them by `os`, `cpu` and `libc`
 * as it does for the platform that it is told, and asks no registry. Nothing of the working tree is there but tests.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { prebuilt } = require('../../lib/prebuilt');

const root = path.join(__dirname, '..', '..');
const packages = path.join(root, 'target', 'packages');
const { name: NAME, version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const LIMIT_MS = 2 * 60 * 1000;

const packageOf = (target) => (target ? `${NAME}-${target}` : NAME);
const tarballOf = (target) => path.join(packages, `${packageOf(target)}-${version}.tgz`);

/**
 * @param {string} target the platform to install for, as lib/prebuilt.js names it
 * @param {{ without?: boolean }} [options] `without`: as if the platform's own package could not be had
 * @returns {string} the folder
 * @throws if it cannot be installed, and why
 */
function install(target, { without = false } = {}) {
  for (const file of [tarballOf(), ...(without ? [] : [tarballOf(target)])]) {
    if (!fs.existsSync(file))
      throw new Error(`${path.relative(root, file)} is missing: npm run build:all makes it`);
  }
  const { os: system, cpu, libc } = prebuilt.find(({ name }) => name === target);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-installed-'));
  // These stand for the registry: npm takes one only where the main package asks for it and it fits.
  const offered = prebuilt
    .map(({ name }) => name)
    .filter((name) => fs.existsSync(tarballOf(name)) && !(without && name === target));
  fs.writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({
      private: true,
      dependencies: { [NAME]: `file:${tarballOf()}` },
      overrides: Object.fromEntries(offered.map((name) => [packageOf(name), `file:${tarballOf(name)}`])),
    }),
  );
  npm(folder, ['--os', system, '--cpu', cpu, ...(libc ? ['--libc', libc] : [])]);
  const found = fs.readdirSync(path.join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
  const wanted = [NAME, ...(without ? [] : [packageOf(target)])];
  if (found.join() !== wanted.join()) throw new Error(`npm has installed ${found}, not ${wanted}`);
  return folder;
}

function npm(folder, platform) {
  const cli = process.env.npm_execpath;
  const [program, ...first] = /npm-cli\.js$/.test(cli ?? '') ? [process.execPath, cli] : ['npm'];
  const args = ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  const { status, error, stderr } = spawnSync(program, [...first, ...args, ...platform], {
    cwd: folder,
    env: withoutRust(),
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  if (error) throw new Error(`npm does not run: ${error.message}`);
  if (status !== 0) throw new Error(`npm install failed: ${stderr}`);
}

/** What users have: no compiler that could make up for a binary that is not there. */
function withoutRust() {
  const has = (folder) => ['cargo', 'rustc'].some((tool) => fs.existsSync(path.join(folder, tool)));
  const PATH = process.env.PATH.split(path.delimiter).filter((folder) => !has(folder));
  return { ...process.env, PATH: PATH.join(path.delimiter) };
}

/** Puts these files of the working tree into `folder`, at the same places. */
function addFiles(folder, files) {
  for (const file of files) {
    const options = { recursive: true, preserveTimestamps: true };
    fs.cpSync(path.join(root, file), path.join(folder, file), options);
  }
}

/** Development packages beside what was installed, as they stand in the working tree. */
function linkModules(folder, names) {
  for (const name of names) {
    const place = path.join(folder, 'node_modules', name);
    if (fs.existsSync(place)) continue;
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.symlinkSync(path.join(root, 'node_modules', name), place);
  }
}

module.exports = { NAME, addFiles, install, linkModules, packageOf, root, tarballOf, version, withoutRust };
