'use strict';

/** Network namespaces of the benchmark's own: gone with this process. They need root and iproute2. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { has } = require('./processes');

/**
 * As many namespaces as there are commands to set them up need: `%1` and `%2` in those are their names, which come back
 * as `names`, with `remove`. `reason` if they cannot be had.
 * @param {string[]} commands
 * @returns {{ names: string[], remove: () => void, reason?: undefined } | { reason: string }}
 */
function makeNamespaces(commands) {
  if (process.getuid?.() !== 0) return { reason: 'network namespaces need root' };
  if (!has('ip')) return { reason: 'no ip on PATH: apt-get install iproute2' };
  removeStale();
  const names = [1, 2].map((number) => `rsb${process.pid}-${number}`);
  const remove = () => {
    process.off('exit', remove);
    for (const name of names) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  };
  process.on('exit', remove);
  for (const command of [...names.map((name) => `ip netns add ${name}`), ...commands]) {
    const line = command.replaceAll('%1', names[0]).replaceAll('%2', names[1]);
    const { status, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
    if (status !== 0) {
      remove();
      return { reason: stderr.trim() };
    }
  }
  return { names, remove };
}

/** Those of a benchmark that was killed. */
function removeStale() {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const [name, pid] of stdout.matchAll(/^rsb(\d+)-\d/gm)) {
    if (!fs.existsSync(`/proc/${pid}`)) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  }
}

module.exports = { makeNamespaces };
