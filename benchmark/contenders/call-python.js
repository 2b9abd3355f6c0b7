'use strict';

const path = require('node:path');
const { lineProgram } = require('../lib/line-program');
const { has } = require('../lib/processes');

module.exports = lineProgram({
  title: 'CPython: os.sendfile',
  scenarios: 'b',
  available: () => has('python3') || 'not on PATH: apt-get install python3',
  command: () => ['python3', path.join(__dirname, '..', 'programs', 'call.py')],
});
