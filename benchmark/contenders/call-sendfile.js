'use strict';

const path = require('node:path');
const { lineProgram } = require('../lib/line-program');

module.exports = lineProgram({
  title: 'sendfileSync',
  scenarios: 'b',
  command: () => [process.execPath, path.join(__dirname, '..', 'programs', 'call.js')],
});
