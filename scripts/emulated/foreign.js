'use strict';

/** The programs of `__test__/installed`, and those of `__test__/runtimes` that fit, on platforms that are not this one. */

const fs = require('node:fs');
const path = require('node:path');
const { runProgram } = require('../program');
const { addFiles, install, linkModules, root, withoutRust } = require('./install');

/** A program that hangs must not hang the rest. */
const LIMIT_MS = 4 * 60 * 1000;
/** On a machine that has other work, qemu takes ten times as long as this processor. */
const TEST_LIMIT_MS = 60_000;
/** No program here needs them: transfers go as on a kernel that is older than both. */
const GAPS =
  'note: qemu knows no preadv2(2), cachestat(2): no file counts as being in memory, and the engine sends them all';
const FILES = ['__test__/helpers.js', '__test__/ways.js', '__test__/installed', '__test__/runtimes'];

const installed = fs
  .readdirSync(path.join(root, '__test__', 'installed'))
  .map((name) => path.join('__test__', 'installed', name));
/** Without load.js, which starts programs: qemu's have to be started by qemu. And without stream.js: no kernel sends there. */
const shared = ['call.js', 'socket.js', 'response.js'].map((name) => path.join('__test__', 'runtimes', name));

/**
 * @param {import('./platforms').Platform} platform
 * @returns {Promise<{ passed: number, failed: number }>}
 */
async function testForeign({ target, node, start }) {
  const counts = { passed: 0, failed: 0 };
  let folder;
  try {
    // The package first: without it there is no point in fetching a Node.
    folder = prepare(target);
    const [program, ...args] = start(node);
    if (program.includes('qemu')) console.log(GAPS);
    for (const file of [...installed, ...shared]) {
      console.log(`-- ${file}`);
      const { passed, failed } = await runProgram(program, [...args, file], {
        cwd: folder,
        env: {
          ...withoutRust(),
          RS_SENDFILE_TEST_TARGET: target,
          RS_SENDFILE_TEST_LIMIT_MS: String(TEST_LIMIT_MS),
        },
        limit: LIMIT_MS,
      });
      counts.passed += passed;
      counts.failed += failed;
    }
  } catch (error) {
    console.error(`FAILED ${target}: ${error.message}`);
    counts.failed += 1;
  } finally {
    if (folder) fs.rmSync(folder, { recursive: true, force: true });
  }
  return counts;
}

/** What is installed for this platform, and the programs beside it. */
function prepare(target, options) {
  const folder = install(target, options);
  addFiles(folder, FILES);
  linkModules(folder, ['send']);
  // What the programs of every runtime require.
  fs.writeFileSync(path.join(folder, 'index.js'), "module.exports = require('rs-sendfile');\n");
  return folder;
}

module.exports = { LIMIT_MS, installed, prepare, testForeign };
