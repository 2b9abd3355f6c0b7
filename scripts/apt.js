'use strict';

/**
 * Debian's packages of any suite and architecture, by an apt of our own: nothing is installed, and the machine's lists
 * and settings are left alone. apt checks every signature.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const LIMIT_MS = 5 * 60 * 1000;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Gives `use` a way to run apt's programs over these suites, in a folder of their own.
 * @template T
 * @param {{ suites: string[], architecture?: string }} what Debian's name of the architecture; without it, this machine's
 * @param {(apt: { folder: string, run: (command: string, args: string[], cwd?: string) =>
 *   import('node:child_process').SpawnSyncReturns<string> }) => T} use
 * @returns {T}
 * @throws if this is no Debian
 */
function withApt({ suites, architecture }, use) {
  const mirror = debianMirror();
  if (mirror === null) throw new Error('this is no Debian, which has packages of it');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-apt-'));
  try {
    for (const name of ['lists/partial', 'archives/partial', 'state'])
      fs.mkdirSync(path.join(folder, name), { recursive: true });
    fs.writeFileSync(path.join(folder, 'state', 'status'), '');
    fs.writeFileSync(
      path.join(folder, 'sources.list'),
      suites.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`).join(''),
    );
    fs.writeFileSync(path.join(folder, 'apt.conf'), settings(folder, architecture));
    const run = (command, args, cwd = folder) =>
      spawnSync(command, args, {
        cwd,
        encoding: 'utf8',
        env: { ...process.env, APT_CONFIG: `${folder}/apt.conf`, DEBIAN_FRONTEND: 'noninteractive' },
        maxBuffer: 1 << 28,
        timeout: LIMIT_MS,
      });
    run('apt-get', ['update', '-q']);
    return use({ folder, run });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function settings(folder, architecture) {
  return [
    `Dir::State "${folder}/state"; Dir::State::lists "${folder}/lists"; Dir::State::status "${folder}/state/status";`,
    `Dir::Cache "${folder}"; Dir::Etc::sourcelist "${folder}/sources.list"; Dir::Etc::sourceparts "/dev/null";`,
    'APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "3";',
    ...(architecture
      ? [`APT::Architecture "${architecture}"; APT::Architectures { "${architecture}"; };`]
      : []),
  ].join('\n');
}

/** Where this machine's apt gets Debian from, or null. */
function debianMirror() {
  const folder = '/etc/apt/sources.list.d';
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).map((name) => path.join(folder, name)) : [];
  for (const file of [...files, '/etc/apt/sources.list']) {
    if (!fs.existsSync(file)) continue;
    const text = fs.readFileSync(file, 'utf8');
    const found = /^(?:URIs:|deb(?: \[[^\]]*\])?) *(\S*\/debian)\/?(?:\s|$)/m.exec(text);
    if (found) return found[1];
  }
  return null;
}

/** What a run of one of them ended with, in words. */
function lastLine({ stderr, error, signal }) {
  return (stderr || error?.message || `ended by ${signal}`).trim().split('\n').at(-1);
}

module.exports = { lastLine, withApt };
