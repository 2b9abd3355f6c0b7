'use strict';

/** Contenders that are told by a line what to do, do it, and answer by a line of JSON with their own figures. */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { has, launch, SERVER_CORE } = require('./processes');

/**
 * @param {object} what
 * @param {string} what.title
 * @param {string} what.scenarios
 * @param {(context: { directory: string }) => string[]} what.command
 * @param {() => true | string} [what.available]
 */
function lineProgram({ title, scenarios, command, available = () => true }) {
  return {
    title,
    scenarios,
    available,
    async start(context) {
      const program = launch(command(context), { core: SERVER_CORE, netns: context.netns });
      program.first = await program.ask(); // it is ready
      return program;
    },
  };
}

/** A loop in Node: `pass(out, file, offset, length, writable)`. */
function nodePass(file, { title, pass }) {
  const runner = path.join(__dirname, '..', 'programs', 'pass.js');
  const command = ({ host }) => [process.execPath, runner, file, host];
  return { ...lineProgram({ title, scenarios: 'a', command }), pass };
}

/** A loop of pass.c. */
function cPass({ title, method }) {
  const command = ({ directory, host }) => [compile('pass.c', directory), method, host];
  return lineProgram({ title, scenarios: 'a', available: hasCompiler, command });
}

const hasCompiler = () => has('cc') || 'no C compiler: apt-get install gcc';

/** Compiles a file of benchmark/c, once. */
function compile(name, directory) {
  const program = path.join(directory, `${name}.out`);
  if (fs.existsSync(program)) return program;
  const source = path.join(__dirname, '..', 'c', name);
  const { status, stderr } = spawnSync('cc', ['-O2', '-Wall', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cc does not compile ${name}: ${stderr}`);
  return program;
}

module.exports = { lineProgram, nodePass, cPass, hasCompiler, compile };
