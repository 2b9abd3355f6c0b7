'use strict';

const { nodeServer } = require('../lib/node-server');
const express = require('./express');

module.exports = nodeServer(__filename, {
  title: 'Express + register',
  scenarios: 'cdg',
  needs: ['express'],
  register: true,
  handler: express.handler,
});
