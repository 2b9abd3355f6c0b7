/** One run of a suite, in a folder and a process group of its own. */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { sumStats } = require('./report');

/** A run takes seconds: one that hangs must not hang the rest. */
const LIMIT_MS = 90 * 1000;
const STATS = 'RS_SENDFILE_FRAMEWORKS_STATS';
const register = path.join(__dirname, '..', '..', 'register.js');
const preload = path.join(__dirname, 'preload.js');

/**
 * @typedef {object} Run
 * @property {{ code: number | null, signal: string | null, late: boolean }} end
 * @property {import('./report').Case[]} cases
 * @property {ReturnType<typeof sumStats>} stats
 * @property {string} tail the last lines of its output
 */

/**
 * @param {import('./suites').Suite} suite
 * @param {{ modules: string, tests?: string }} where `tests`: a folder with what the npm package lacks
 * @param {{ registered?: boolean, env?: Record<string, string>, limit?: number }} [how]
 * @returns {Promise<Run>}
 */
async function runSuite(suite, { modules, tests }, { registered = false, env = {}, limit = LIMIT_MS } = {}) {
  // Not in the cache: send has a mind of its own about files below a folder whose name begins with a dot.
  const temp = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-suite-')));
  const report = path.join(temp, 'report');
  const stats = path.join(temp, 'stats');
  const output = path.join(temp, 'output');
  try {
    const end = await run(suite.args(report, modules), {
      cwd: lay(suite, temp, modules, tests),
      output,
      limit,
      env: { ...env, ...(registered && { NODE_OPTIONS: withRegister(), [STATS]: stats }) },
    });
    return {
      end,
      cases: readCases(suite, report, temp),
      stats: sumStats(stats),
      tail: fs.readFileSync(output, 'utf8').trimEnd().split('\n').slice(-40).join('\n'),
    };
  } finally {
    fs.rmSync(temp, { recursive: true, force: true });
  }
}

/** The package with its tests, and beside it the modules that it and they ask for. */
function lay(suite, temp, modules, tests) {
  const folder = path.join(temp, 'suite');
  fs.cpSync(path.join(modules, suite.code), folder, { recursive: true });
  if (tests) fs.cpSync(tests, folder, { recursive: true });
  for (const [link, target] of Object.entries(suite.links ?? {})) {
    fs.mkdirSync(path.join(folder, path.dirname(link)), { recursive: true });
    fs.symlinkSync(target, path.join(folder, link));
  }
  fs.symlinkSync(modules, path.join(temp, 'node_modules'));
  return folder;
}

/** As a user would have it, and what writes down what it did. Child processes inherit it. */
function withRegister() {
  const required = [register, preload].map((file) => `--require "${file.replace(/[\\"]/g, '\\$&')}"`);
  return [process.env.NODE_OPTIONS, ...required].filter(Boolean).join(' ');
}

/** None if the run ended before its runner had written a report. */
function readCases(suite, report, temp) {
  if (!fs.existsSync(report) || fs.statSync(report).size === 0) return [];
  // The folder has another name in each run, and a file that fails as a whole is a case by its path.
  return suite.read(report).map((each) => ({ ...each, name: each.name.replaceAll(temp, '') }));
}

function run(args, { cwd, env, output, limit }) {
  return new Promise((resolve, reject) => {
    const PATH = `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}`;
    const file = fs.openSync(output, 'w');
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, PATH, ...env },
      stdio: ['ignore', file, file],
      // A group of its own: whatever the suite has started ends with it.
      detached: true,
    });
    fs.closeSync(file);
    const endGroup = () => killGroup(child.pid);
    process.once('exit', endGroup);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup();
    }, limit);
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      process.off('exit', endGroup);
      endGroup();
      resolve({ code, signal, late });
    });
  });
}

function killGroup(pid) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (err) {
    // Nobody is left in it.
    if (err.code !== 'ESRCH') throw err;
  }
}

module.exports = { runSuite };
