'use strict';

/** Compiles the addon for platforms other than this one, by cargo and zig. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { runCargo } = require('../run-cargo');
const { MACOS } = require('./targets');
const { fromSource, isInstalled, standardLibrary } = require('../rust-std');

const root = path.join(__dirname, '..', '..');
/** cargo's folder for these builds, one for all targets: what runs on this machine is compiled once. */
const work = path.join(root, 'target', 'prebuild');

/**
 * A line for each target as it is done.
 * @param {import('./targets').Target[]} targets
 * @param {import('../rust-std').Toolchain} toolchain
 * @param {{ cargo: string, env: Record<string, string> }} tools
 * @returns {Promise<{ files: Map<string, string>, reasons: Map<string, string> }>} by the targets' names: the binary, or
 * why there is none
 */
async function compile(targets, toolchain, tools) {
  const files = new Map();
  const reasons = new Map();
  const ready = targets.filter(({ triple }) => isInstalled(toolchain, triple));
  const bare = targets.filter((target) => !ready.includes(target));
  if (!fetchCrates()) {
    for (const { name } of targets) reasons.set(name, 'its crates could not be had: cargo says why');
    return { files, reasons };
  }
  const prefixes = [...machinePaths()];
  await build(ready, { tools, prefixes, args: [], env: {} }, files);
  if (bare.length > 0) {
    const { library, reason } = standardLibrary(toolchain);
    if (library) {
      const std = fromSource(library);
      await build(bare, { tools, prefixes: [...prefixes, [library, '/rust']], ...std }, files);
    } else {
      for (const { name } of bare) reasons.set(name, reason);
    }
  }
  return { files, reasons };
}

async function build(targets, { tools, prefixes, args, env }, files) {
  if (targets.length === 0) return;
  const start = Date.now();
  const run = (chosen, format, onLine) =>
    runCargo(
      [
        ...[
          'zigbuild',
          '--release',
          '--locked',
          '--lib',
          '--keep-going',
          `--message-format=${format}`,
          ...args,
        ],
        ...chosen.flatMap(({ triple, glibc }) => ['--target', glibc ? `${triple}.${glibc}` : triple]),
        ...chosen.flatMap((target) => ['--config', flagsOf(target, prefixes)]),
      ],
      {
        program: tools.cargo,
        env: {
          ...tools.env,
          ...env,
          CARGO_TARGET_DIR: work,
          // Either would stand in the place of each target's own.
          RUSTFLAGS: undefined,
          CARGO_ENCODED_RUSTFLAGS: undefined,
          MACOSX_DEPLOYMENT_TARGET: MACOS,
        },
        onLine,
      },
    );
  console.log(`compiling for ${targets.length} platforms`);
  const after = () => `(after ${((Date.now() - start) / 1000).toFixed(0)} s)`;
  await run(targets, 'json', (line) => {
    if (!line.startsWith('{"reason":"compiler-artifact"')) return;
    const { target, filenames, fresh } = JSON.parse(line);
    const triple = path.relative(work, filenames[0]).split(path.sep)[0];
    const made = targets.find((one) => one.triple === triple);
    if (!made) return;
    if (target.name === 'std' && !fresh) console.log(`${made.name}: the standard library ${after()}`);
    if (target.name !== 'rs_sendfile') return;
    files.set(made.name, binaryOf(made));
    console.log(`${made.name}: the addon ${after()}`);
  });
  for (const target of targets) {
    if (files.has(target.name)) continue;
    // Once more and alone: what is wrong with it, in words.
    const ok = await run([target], 'human', (line) => console.log(line));
    if (ok) files.set(target.name, binaryOf(target));
  }
}

function binaryOf({ triple, format }) {
  return path.join(
    work,
    triple,
    'release',
    format === 'Mach-O' ? 'librs_sendfile.dylib' : 'librs_sendfile.so',
  );
}

function flagsOf({ triple, flags }, prefixes) {
  const remapped = prefixes.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  return `target.${triple}.rustflags=${JSON.stringify([...flags, ...remapped])}`;
}

/** The folders whose names would stand in a binary, by its panics' messages, with what stands there instead. */
function* machinePaths() {
  if (os.homedir().length > 1) yield [os.homedir(), '/home'];
  const registry = path.join(process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), 'registry', 'src');
  for (const name of fs.existsSync(registry) ? fs.readdirSync(registry) : [])
    yield [path.join(registry, name), '/crates'];
  yield [root, '/rs-sendfile'];
}

function fetchCrates() {
  const args = ['fetch', '--locked', '--quiet'];
  return spawnSync('cargo', args, { cwd: root, stdio: 'inherit', timeout: 10 * 60 * 1000 }).status === 0;
}

module.exports = { compile };
