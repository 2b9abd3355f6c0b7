'use strict';

/** Roots of other architectures, made of Debian's packages: a folder each, in which nothing was installed or run. */

const fs = require('node:fs');
const path = require('node:path');
const { lastLine, withApt } = require('../apt');

/** The suite is the pin: within a stable suite of Debian a package changes by security updates alone. */
const SUITE = 'trixie';

/**
 * The folder that holds these packages and all that they depend on, from the cache or from Debian.
 * @param {object} what
 * @param {string} what.cache
 * @param {string} what.architecture
 * @param {string[]} what.packages
 * @param {boolean} [what.alone] without what they depend on
 * @param {string[]} [what.keep] these files alone
 * @returns {string}
 * @throws if they cannot be had, and why
 */
function debianRoot({ cache, architecture, packages, alone = false, keep }) {
  const place = path.join(cache, [SUITE, architecture, ...packages].join('-'));
  if (fs.existsSync(place)) return place;
  console.log(`rs-sendfile: getting ${packages.join(', ')} for ${architecture} from Debian (${SUITE})`);
  return withApt({ suites: [SUITE], architecture }, ({ folder, run }) => {
    const wanted = alone
      ? run('apt-get', ['download', '-q', ...packages], path.join(folder, 'archives'))
      : run('apt-get', ['install', '-y', '-q', '--download-only', '--no-install-recommends', ...packages]);
    const archives = path.join(folder, 'archives');
    const found = fs.readdirSync(archives).filter((name) => name.endsWith('.deb'));
    if (wanted.status !== 0 || found.length === 0) throw new Error(`apt-get: ${lastLine(wanted)}`);
    // Made aside: what breaks off is not taken for the whole.
    const aside = `${place}.${process.pid}`;
    fs.rmSync(aside, { recursive: true, force: true });
    makeFolders(aside);
    for (const name of found) {
      const unpacked = run('dpkg-deb', ['-x', path.join(archives, name), aside]);
      if (unpacked.status !== 0) throw new Error(`dpkg-deb: ${lastLine(unpacked)}`);
    }
    if (keep) keepOnly(aside, keep);
    fs.renameSync(aside, place);
    return place;
  });
}

/** Packages name files in either; Debian has had them in one since its base-files made these links. */
function makeFolders(root) {
  for (const name of ['lib', 'lib64', 'bin', 'sbin']) {
    fs.mkdirSync(path.join(root, 'usr', name), { recursive: true });
    fs.symlinkSync(`usr/${name}`, path.join(root, name));
  }
}

function keepOnly(root, files) {
  const rest = `${root}.rest`;
  fs.renameSync(root, rest);
  for (const file of files) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.renameSync(path.join(rest, file), path.join(root, file));
  }
  fs.rmSync(rest, { recursive: true });
}

module.exports = { debianRoot };
