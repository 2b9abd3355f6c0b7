/** The frameworks and what their tests ask for: node_modules by the lock beside this file, kept while that is the same. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const FILES = ['package.json', 'package-lock.json'];

/**
 * The folder of modules, from the cache or from npm. Throws if it cannot be had.
 * @param {string} cache
 */
function getModules(cache) {
  const place = path.join(cache, 'npm');
  const modules = path.join(place, 'node_modules');
  if (FILES.every((name) => same(path.join(place, name), path.join(__dirname, name)))) return modules;
  console.log('rs-sendfile: installing the frameworks and their test tools (npm ci)');
  // Made aside: an installation that breaks off is not taken for the whole.
  const aside = `${place}.${process.pid}`;
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(aside, { recursive: true });
  for (const name of FILES) fs.copyFileSync(path.join(__dirname, name), path.join(aside, name));
  try {
    npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], aside);
    fs.renameSync(aside, place);
  } finally {
    fs.rmSync(aside, { recursive: true, force: true });
  }
  return modules;
}

function same(file, other) {
  return fs.existsSync(file) && fs.readFileSync(file).equals(fs.readFileSync(other));
}

function npm(args, cwd) {
  const cli = process.env.npm_execpath;
  const [program, first] = /npm-cli\.js$/.test(cli ?? '') ? [process.execPath, [cli]] : ['npm', []];
  const { status, error } = spawnSync(program, [...first, ...args], {
    cwd,
    stdio: 'inherit',
    timeout: 5 * 60 * 1000,
  });
  if (error) throw new Error(`npm does not run: ${error.message}`);
  if (status !== 0) throw new Error(`npm ${args[0]} failed; its output above says why`);
}

module.exports = { getModules };
