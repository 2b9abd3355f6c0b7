'use strict';

/** What it was measured on, without a name or a path of this machine. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const load = require('./load');
const { pinned } = require('./processes');

/** What a program says of its version; nothing if it is not there. */
function version(command, args, pattern) {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return error ? undefined : pattern.exec(`${stdout}${stderr}`)?.[1];
}

function describeMachine(directory) {
  const cpus = os.cpus();
  return {
    cpu: cpus[0].model,
    cores: cpus.length,
    memoryGb: Math.round(os.totalmem() / 1e9),
    kernel: os.release().split('-')[0],
    fileSystem: `0x${fs.statfsSync(directory).type.toString(16)}`,
    pinned: pinned ? 'servers on core 0, load on core 1' : 'not pinned: no taskset, or one core',
    busyBefore: os.loadavg()[0],
    openFiles: spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout.trim(),
    versions: {
      'rs-sendfile': require('../../package.json').version,
      commit: version('git', ['-C', __dirname, 'rev-parse', '--short', 'HEAD'], /^([0-9a-f]+)$/m),
      node: process.versions.node,
      load: load.describe(),
      ...Object.fromEntries(
        ['express', 'serve-static', 'sirv', 'fastify', '@fastify/static'].map((name) => [name, npm(name)]),
      ),
      nginx: version('nginx', ['-v'], /nginx\/(\S+)/),
      cc: version('cc', ['--version'], /^(.*)$/m),
      python: version('python3', ['--version'], /Python (\S+)/),
    },
  };
}

/** The installed version of a package, whether or not it shows its package.json. */
function npm(name) {
  const file = `${__dirname}/../../node_modules/${name}/package.json`;
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')).version : undefined;
}

module.exports = { describeMachine };
