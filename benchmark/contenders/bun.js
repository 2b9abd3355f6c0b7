'use strict';

const path = require('node:path');
const { getBinary } = require('../../scripts/binaries');
const { launch, listening, SERVER_CORE } = require('../lib/processes');

const SERVER = path.join(__dirname, '..', 'programs', 'bun.mjs');
const PACKAGE = { folder: 'runtimes', name: '@oven/bun-linux-x64', version: '1.4.5', bin: 'bin/bun' };

let binary;

module.exports = {
  title: 'Bun',
  version: PACKAGE.version,
  scenarios: 'cdg',
  available() {
    if (process.platform !== 'linux' || process.arch !== 'x64') return 'had for linux x64 only';
    binary ??= getBinary(PACKAGE);
    return binary !== null || 'npm does not give it';
  },
  async start({ root, port }) {
    const program = launch([binary, SERVER, root, String(port)], { core: SERVER_CORE });
    await listening(program, port);
    return program;
  },
};
