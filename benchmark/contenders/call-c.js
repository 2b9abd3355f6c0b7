'use strict';

const { compile, hasCompiler, lineProgram } = require('../lib/line-program');

module.exports = lineProgram({
  title: 'C: sendfile',
  scenarios: 'b',
  available: hasCompiler,
  command: ({ directory }) => [compile('call.c', directory)],
});
