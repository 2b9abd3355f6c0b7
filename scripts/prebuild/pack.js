'use strict';

/** Lays out the packages and packs them: those of the platforms in npm/, the tarballs in target/packages. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { prebuilt } = require('../../lib/prebuilt');
const {
  binaryName,
  isTarballOf,
  mainManifest,
  packageName,
  platformManifest,
  platformReadme,
} = require('./manifests');

const root = path.join(__dirname, '..', '..');
const packages = path.join(root, 'target', 'packages');

const folderOf = ({ name }) => path.join(root, 'npm', name);

/** Takes away what an earlier run has made for a platform, so that nothing old is published if this one fails. */
function removePlatform(target) {
  fs.rmSync(folderOf(target), { recursive: true, force: true });
  removeTarballs(packageName(target));
}

/** Those of any version. */
function removeTarballs(name) {
  if (!fs.existsSync(packages)) return;
  for (const file of fs.readdirSync(packages))
    if (isTarballOf(name, file)) fs.rmSync(path.join(packages, file));
}

/**
 * Makes npm/NAME of a binary, and its tarball.
 * @param {import('./targets').Target} target
 * @param {string} binary
 * @returns {Packed}
 */
function packPlatform(target, binary) {
  const folder = folderOf(target);
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(binary, path.join(folder, binaryName(target)));
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
  fs.writeFileSync(path.join(folder, 'README.md'), platformReadme(target));
  writeJson(path.join(folder, 'package.json'), platformManifest(target, readManifest()));
  return pack(folder);
}

/** Packs the main package from a folder of its own, with the package.json that is published. @returns {Packed} */
function packMain() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-package-'));
  try {
    for (const { path: file } of npmPack(root, ['--dry-run']).files) {
      fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      fs.copyFileSync(path.join(root, file), path.join(folder, file));
    }
    const manifest = mainManifest(readManifest(), prebuilt);
    writeJson(path.join(folder, 'package.json'), manifest);
    removeTarballs(manifest.name);
    return pack(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @typedef {{ tarball: string, size: number, files: string[] }} Packed
 * @returns {Packed}
 */
function pack(folder) {
  fs.mkdirSync(packages, { recursive: true });
  const { filename, size, files } = npmPack(folder, ['--pack-destination', packages]);
  return { tarball: path.join(packages, filename), size, files: files.map((file) => file.path) };
}

/** What npm says of the package that it has made. */
function npmPack(cwd, args) {
  const cli = process.env.npm_execpath;
  const [program, ...first] = /npm-cli\.js$/.test(cli ?? '') ? [process.execPath, cli] : ['npm'];
  const { status, stdout, stderr } = spawnSync(
    program,
    [...first, 'pack', '--json', '--ignore-scripts', '--loglevel=error', ...args],
    { cwd, encoding: 'utf8', timeout: 2 * 60 * 1000, maxBuffer: 1 << 26 },
  );
  if (status !== 0) throw new Error(`npm pack in ${cwd} failed: ${stderr}`);
  const [packed] = Object.values(JSON.parse(stdout));
  return packed;
}

function readManifest() {
  return JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
}

function writeJson(file, value) {
  fs.writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

module.exports = { packMain, packPlatform, removePlatform };
