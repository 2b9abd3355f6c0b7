'use strict';

/** The whole jest suite over what is installed on this machine's own platform, on every Node. */

const fs = require('node:fs');
const path = require('node:path');
const { OF_THE_TREE } = require('../../jest.installed.config');
const { runJest } = require('../jest');
const { getNode } = require('../nodes');
const { NAME, addFiles, install, linkModules, root } = require('./install');

const LIMIT_MS = 10 * 60 * 1000;

/**
 * @param {string} target
 * @param {string[]} versions of Node
 * @returns {Promise<{ target: string, node: string, passed: number, failed: number, seconds: number }[]>} a row for each
 *   Node
 */
async function testHost(target, versions) {
  for (const [file, why] of Object.entries(OF_THE_TREE))
    console.log(`not run over a package: ${file}: ${why}`);
  const failedRow = (node) => ({ target, node, passed: 0, failed: 1, seconds: 0 });
  let folder;
  try {
    folder = install(target);
    const place = prepare(folder);
    const rows = [];
    for (const version of versions) {
      console.log(`\n== ${target}, Node ${version}: jest`);
      const node = getNode(version);
      if (node === null) {
        console.error(`FAILED ${target}: Node ${version} cannot be had; the output above says why`);
        rows.push(failedRow(version));
        continue;
      }
      const args = ['--config', path.join(root, 'jest.installed.config.js'), '--rootDir', place];
      rows.push({ target, node: version, ...(await runJest({ node, args, limit: LIMIT_MS, cwd: place })) });
    }
    return rows;
  } catch (error) {
    console.error(`FAILED ${target}: ${error.message}`);
    return [failedRow('-')];
  } finally {
    if (folder) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The tests go into the package's own folder: there `..` is what was installed. */
function prepare(folder) {
  const place = path.join(folder, 'node_modules', NAME);
  const before = contents(place);
  for (const [file, text] of before) {
    if (!/\.(m?js|m?ts|rs|toml)$/.test(file)) continue;
    // Tests of today over a package of yesterday would tell nothing.
    if (text !== fs.readFileSync(path.join(root, file), 'utf8'))
      throw new Error(`${file} is not that of the tree: npm run build:all packs it anew`);
  }
  addFiles(place, ['__test__', 'jest.config.js', 'scripts/lock.js']);
  // Programs that tests build: once for the tree and every Node.
  fs.mkdirSync(path.join(root, 'target', 'slowfs'), { recursive: true });
  fs.mkdirSync(path.join(place, 'target'));
  fs.symlinkSync(path.join(root, 'target', 'slowfs'), path.join(place, 'target', 'slowfs'));
  linkModules(folder, developmentModules());
  return place;
}

/** Every file of a folder, with its text. */
function contents(folder, prefix = '') {
  return fs.readdirSync(path.join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(prefix, entry.name);
    return entry.isDirectory()
      ? contents(folder, file)
      : [[file, fs.readFileSync(path.join(folder, file), 'utf8')]];
  });
}

function developmentModules() {
  const modules = path.join(root, 'node_modules');
  return fs.readdirSync(modules).flatMap((name) => {
    if (name.startsWith('.')) return [];
    if (!name.startsWith('@')) return [name];
    return fs.readdirSync(path.join(modules, name)).map((inner) => path.join(name, inner));
  });
}

module.exports = { testHost };
