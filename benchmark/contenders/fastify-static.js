'use strict';

const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: '@fastify/static',
  scenarios: 'cg',
  needs: ['fastify', '@fastify/static'],
  node: 20,
  async handler({ root }) {
    const app = require('fastify')();
    app.register(require('@fastify/static'), { root });
    await app.ready();
    return app.routing;
  },
});
