'use strict';

/**
 * That the programs can fail: with a package that is missing, or whose binary is not what it should be, `support` says
 * which package to install or what is wrong, and the programs fail.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { runProgram } = require('../program');
const { LIMIT_MS, installed, prepare } = require('./foreign');
const { packageOf, tarballOf, version, withoutRust } = require('./install');

/** A platform whose binary no other one loads. */
const OTHER = 'linux-s390x-gnu';

const SEES_ANY = [path.join('__test__', 'installed', 'package.js')];

/** Each breaks what was installed, and names what `support.reason` has to say and which programs have to see it. */
const CASES = [
  {
    name: 'a platform package that is missing',
    options: { without: true },
    programs: installed,
    reason: (name) => `the package ${name}@${version} is not installed. Install it with `,
  },
  {
    name: 'a platform package of another version',
    damage: ({ manifest }) =>
      fs.writeFileSync(manifest, JSON.stringify({ ...read(manifest), version: '0.0.1' })),
    reason: (name) => `the package ${name} is of version 0.0.1, and rs-sendfile of ${version}`,
  },
  {
    name: "a binary of another platform in this one's package",
    damage({ binary, folder }) {
      const file = `package/rs-sendfile.${OTHER}.node`;
      execFileSync('tar', ['-xzf', tarballOf(OTHER), '-C', folder, file], { stdio: 'inherit' });
      fs.renameSync(path.join(folder, file), binary);
    },
    reason: () => `does not load: it is built for ${OTHER.split('-')[1]}`,
  },
  {
    name: 'a binary that is cut off',
    damage: ({ binary }) => fs.truncateSync(binary, Math.floor(fs.statSync(binary).size / 2)),
    reason: () => 'is cut off',
  },
  {
    name: 'a binary that is empty',
    damage: ({ binary }) => fs.truncateSync(binary),
    reason: () => 'does not load',
  },
];

/** @returns {Promise<{ passed: number, failed: number }>} */
async function testBroken(target) {
  const counts = { passed: 0, failed: 0 };
  const count = (name, why) => {
    console.log(why === null ? `ok ${name}` : `not ok ${name}: ${why}`);
    counts[why === null ? 'passed' : 'failed'] += 1;
  };
  for (const { name, options, damage, reason, programs = SEES_ANY } of CASES) {
    let folder;
    try {
      folder = prepare(target, options);
      damage?.(placesOf(target, folder));
      count(`${name}: support says why`, whyUnavailable(folder, reason(packageOf(target))));
      for (const file of programs) {
        const env = { ...withoutRust(), RS_SENDFILE_TEST_TARGET: target };
        const run = await runProgram(process.execPath, [file], {
          cwd: folder,
          env,
          limit: LIMIT_MS,
          quiet: true,
        });
        count(`${name}: ${file} fails`, run.failed > 0 ? null : `${run.passed} passed`);
      }
    } catch (error) {
      count(name, error.message);
    } finally {
      if (folder) fs.rmSync(folder, { recursive: true, force: true });
    }
  }
  return counts;
}

function placesOf(target, folder) {
  const place = path.join(folder, 'node_modules', packageOf(target));
  const manifest = path.join(place, 'package.json');
  return { folder, manifest, binary: path.join(place, `rs-sendfile.${target}.node`) };
}

const read = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

/** Null if sendfile is not available, for this reason. */
function whyUnavailable(folder, expected) {
  const program = "console.log(JSON.stringify(require('rs-sendfile').support))";
  const said = execFileSync(process.execPath, ['-e', program], {
    cwd: folder,
    encoding: 'utf8',
    env: withoutRust(),
  });
  const { available, reason } = JSON.parse(said);
  return available === false && reason.includes(expected) ? null : said.trim();
}

module.exports = { testBroken };
