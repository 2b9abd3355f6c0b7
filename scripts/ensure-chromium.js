'use strict';

/** Debian's Chromium, and the font that the status page's screenshots were made with. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');

const CHROMIUM = '/usr/bin/chromium';
/** Each with the file that tells that it is there. */
const PACKAGES = {
  chromium: CHROMIUM,
  'fonts-inter': '/usr/share/fonts/opentype/inter/Inter-Regular.otf',
};
const LIMIT_MS = 5 * 60 * 1000;

/**
 * The browser's path. What is missing is installed, if this is root on a Debian.
 * @returns {string}
 * @throws if it cannot be had, and why
 */
function ensureChromium() {
  const missing = () => Object.keys(PACKAGES).filter((name) => !fs.existsSync(PACKAGES[name]));
  if (missing().length === 0) return CHROMIUM;
  const wanted = missing().join(' and ');
  if (process.platform !== 'linux') throw new Error(`${wanted} of Debian: not on ${process.platform}`);
  if (process.getuid() !== 0) throw new Error(`${wanted} is not installed, and only root may do that`);
  console.log(`rs-sendfile: installing ${wanted} (apt-get)`);
  let why = apt('install', '-y', '-q', '--no-install-recommends', ...missing());
  if (why !== null) {
    // The lists may be old, or there may be none yet.
    why = apt('update', '-q') ?? apt('install', '-y', '-q', '--no-install-recommends', ...missing());
  }
  if (missing().length > 0) throw new Error(`${missing().join(' and ')} cannot be installed: ${why}`);
  return CHROMIUM;
}

/** Null if it went well, and otherwise why not. */
function apt(...args) {
  const { status, error, signal } = spawnSync('apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: LIMIT_MS,
  });
  if (error) return `apt-get does not run: ${error.message}`;
  return status === 0 ? null : `apt-get ${args[0]} ended with ${signal ?? status}; its output above says why`;
}

module.exports = { ensureChromium };
