'use strict';

/**
 * `npm run build:all [-- word ...]`: the binaries of every platform in lib/prebuilt.js, each checked and laid out as a
 * package in npm/, and all packages packed into target/packages, the main one too. A word picks the platforms that have
 * it in their names. On Linux x64, with Rust and Python 3: what else it takes (zig, the standard library's source) it gets
 * into target/ by itself. The last line is `N passed, N failed`: the checks, and the binaries that could not be made.
 */

const fs = require('node:fs');
const path = require('node:path');
const { checkBinary } = require('./prebuild/checks');
const { compile } = require('./prebuild/compile');
const { binaryName } = require('./prebuild/manifests');
const { packMain, packPlatform, removePlatform } = require('./prebuild/pack');
const { targets } = require('./prebuild/targets');
const { getTools } = require('./prebuild/tools');
const { askToolchain } = require('./rust-std');

const root = path.join(__dirname, '..');

async function main(words) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return giveUp(
      `binaries for other systems are made on Linux x64 alone, not on ${process.platform} ${process.arch}`,
    );
  }
  const chosen = targets.filter(
    ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (chosen.length === 0) return giveUp(`no platform has ${words.join(' or ')} in its name`);
  const toolchain = askToolchain();
  if (toolchain === null)
    return giveUp('Rust (cargo, rustc) is not on the PATH: install it from https://rustup.rs');
  const tools = getTools();
  if ('reason' in tools) return giveUp(tools.reason);

  const { files, reasons } = await compile(chosen, toolchain, tools);
  let passed = 0;
  let failed = 0;
  for (const target of chosen) {
    removePlatform(target);
    const file = files.get(target.name);
    const checks = file
      ? checkAndPack(target, file)
      : [{ what: 'the binary', wrong: reasons.get(target.name) ?? 'none' }];
    const wrong = checks.filter((check) => check.wrong !== null);
    for (const check of wrong) console.log(`FAIL ${target.name}, ${check.what}: ${check.wrong}`);
    passed += checks.length - wrong.length;
    failed += wrong.length;
  }
  const { tarball, size } = packMain();
  console.log(`ok the main package\n   ${path.relative(root, tarball)}, ${inKib(size)}`);
  if (failed > 0) process.exitCode = 1;
  console.log(`${passed} passed, ${failed} failed`);
}

/** What is wrong is not packed. */
function checkAndPack(target, file) {
  const checks = checkBinary(fs.readFileSync(file), target);
  if (checks.some(({ wrong }) => wrong !== null)) return checks;
  const { tarball, size, files } = packPlatform(target, file);
  const wanted = ['LICENSE', 'README.md', 'package.json', binaryName(target)];
  const isWhole = files.length === wanted.length && wanted.every((name) => files.includes(name));
  const all = [...checks, { what: "the package's files", wrong: isWhole ? null : files.join(', ') }];
  if (isWhole) {
    const checked = all.map(({ what }) => what).join(', ');
    console.log(`ok ${target.name}: ${inKib(fs.statSync(file).size)}, ${checked}`);
    console.log(`   ${path.relative(root, tarball)}, ${inKib(size)}`);
  }
  return all;
}

const inKib = (bytes) => `${Math.ceil(bytes / 1024)} KiB`;

function giveUp(reason) {
  console.error(`rs-sendfile: ${reason}.`);
  process.exitCode = 1;
  console.log('0 passed, 1 failed');
}

main(process.argv.slice(2));
