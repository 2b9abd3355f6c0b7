'use strict';

/** Contenders that are a handler of Node's http server. */

const path = require('node:path');
const { launch, listening, SERVER_CORE } = require('./processes');

const SERVE = path.join(__dirname, 'serve.js');
const REGISTER = path.join(__dirname, '..', '..', 'register.js');

/**
 * @param {string} file the contender's own
 * @param {object} what
 * @param {string} what.title
 * @param {string} what.scenarios the letters of those it takes part in
 * @param {(context: { root: string }) => any} what.handler `(req, res) => void`, or a promise of it
 * @param {string[]} [what.needs] packages
 * @param {number} [what.node] the Node that they need
 * @param {boolean} [what.register] loaded before all else
 */
function nodeServer(file, { title, scenarios, handler, needs = [], node = 18, register = false }) {
  return { title, scenarios, handler, available, start };

  function available() {
    const version = Number.parseInt(process.versions.node, 10);
    if (version < node) return `needs Node ${node}, this is ${version}`;
    const missing = needs.filter((name) => !isInstalled(name));
    return missing.length === 0 || `not installed: npm install ${missing.join(' ')}`;
  }

  async function start({ root, port, user, netns, cwd, nodeArgs = [] }) {
    const args = [...nodeArgs, ...(register ? ['-r', REGISTER] : []), SERVE, file];
    const command = [process.execPath, ...args, JSON.stringify({ root, port })];
    const program = launch(command, { core: SERVER_CORE, user, netns, cwd });
    await listening(program, port);
    return program;
  }
}

function isInstalled(name) {
  try {
    return require.resolve(name) !== '';
  } catch {
    return false;
  }
}

module.exports = { nodeServer };
