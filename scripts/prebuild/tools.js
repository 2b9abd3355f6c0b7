'use strict';

/** zig, which links for every system, and cargo-zigbuild, which has cargo link by it: from PyPI, kept in target/tools. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { withLock } = require('../lock');

const ZIG = '0.17.1';
const ZIGBUILD = '0.24.0';

const root = path.join(__dirname, '..', '..');
const tools = path.join(root, 'target', 'tools');

/** @returns {{ cargo: string, env: Record<string, string> } | { reason: string }} what stands for cargo, or why nothing does */
function getTools() {
  const place = path.join(tools, `zig-${ZIG}-${ZIGBUILD}`);
  const cargo = path.join(place, 'bin', 'cargo-zigbuild');
  const zig = path.join(place, 'ziglang', 'zig');
  let reason = '';
  withLock(path.join(tools, 'lock'), console.log, () => {
    if (runs(cargo, ['--version']) && runs(zig, ['version'])) return;
    console.log(`getting zig ${ZIG} and cargo-zigbuild ${ZIGBUILD} from PyPI`);
    fs.rmSync(place, { recursive: true, force: true });
    reason = install(place);
    if (reason === '' && !(runs(cargo, ['--version']) && runs(zig, ['version'])))
      reason = `what pip has put into ${place} does not run`;
    if (reason !== '') fs.rmSync(place, { recursive: true, force: true });
  });
  if (reason !== '') return { reason };
  return {
    cargo,
    env: {
      CARGO_ZIGBUILD_ZIG_PATH: zig,
      CARGO_ZIGBUILD_CACHE_DIR: path.join(tools, 'zigbuild-cache'),
      ZIG_GLOBAL_CACHE_DIR: path.join(tools, 'zig-cache'),
      ZIG_LOCAL_CACHE_DIR: path.join(tools, 'zig-cache'),
    },
  };
}

/** @returns {string} why not, or nothing */
function install(place) {
  const pip = findPip();
  if (pip === null)
    return 'Python 3 with pip or venv is missing, from which zig comes: install it (Debian: apt-get install python3-venv)';
  const { status, stderr } = spawnSync(
    pip[0],
    [
      ...pip.slice(1),
      ...[
        'install',
        '--quiet',
        '--disable-pip-version-check',
        '--no-deps',
        '--no-compile',
        '--target',
        place,
      ],
      ...[`ziglang==${ZIG}`, `cargo-zigbuild==${ZIGBUILD}`],
    ],
    { encoding: 'utf8', timeout: 10 * 60 * 1000, env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' } },
  );
  return status === 0 ? '' : `pip: ${(stderr ?? '').trim().split('\n').at(-1)}`;
}

/** Python's own pip, or that of a venv; Debian has both in a package of its own. */
function findPip() {
  const own = ['python3', '-m', 'pip'];
  if (runs(own[0], [...own.slice(1), '--version'])) return own;
  const venv = path.join(tools, 'venv');
  const inVenv = [path.join(venv, 'bin', 'python3'), '-m', 'pip'];
  const make = () => runs('python3', ['-m', 'venv', '--clear', venv]) && inVenv;
  const made = make();
  if (made) return made;
  if (process.getuid() !== 0 || !runs('apt-get', ['--version'])) return null;
  console.log('installing python3-venv from Debian');
  const apt = ['install', '-y', '-q', 'python3-venv'];
  if (!runs('apt-get', apt) && runs('apt-get', ['update', '-q'])) runs('apt-get', apt);
  return make() || null;
}

function runs(program, args) {
  return spawnSync(program, args, { stdio: 'ignore', timeout: 5 * 60 * 1000 }).status === 0;
}

module.exports = { getTools };
