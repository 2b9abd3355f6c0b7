'use strict';

/** The addon with the feature `probes`: it counts what it allocates, and can have the kernel refuse it calls. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root, runInChild } = require('../helpers');

const target = path.join(root, 'target', 'probes');
const addon = path.join(target, 'rs-sendfile.node');

/** Builds it, apart from the one for users; with nothing to do that takes no time. For `beforeAll`. */
function build() {
  const args = ['build', '--features', 'probes', '--target-dir', target];
  const { status, error, stderr } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cargo ${args.join(' ')}: ${error?.message ?? stderr}`);
  fs.copyFileSync(path.join(target, 'debug', 'librs_sendfile.so'), addon);
}

/** Runs a program with it in a process of its own, in which `probes` is the addon; parses the last line it says. */
async function withProbes(program, { env = {}, timeout } = {}) {
  const script = `
    const probes = require(process.env.NAPI_RS_NATIVE_LIBRARY_PATH);
    const say = (answer) => console.log(JSON.stringify(answer));
    (async () => {${program}})().then(() => process.exit(), (error) => {
      console.error(error);
      process.exit(1);
    });`;
  const { code, signal, stdout, stderr } = await runInChild(script, {
    env: { ...env, NAPI_RS_NATIVE_LIBRARY_PATH: addon },
    timeout,
  });
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

module.exports = { build, withProbes };
