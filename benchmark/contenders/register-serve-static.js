'use strict';

const { nodeServer } = require('../lib/node-server');
const serveStatic = require('./serve-static');

module.exports = nodeServer(__filename, {
  title: 'serve-static + register',
  scenarios: 'cef',
  needs: ['serve-static'],
  register: true,
  handler: serveStatic.handler,
});
