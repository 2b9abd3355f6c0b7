'use strict';

const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: 'serve-static',
  scenarios: 'cf',
  needs: ['serve-static'],
  handler({ root }) {
    const serve = require('serve-static')(root);
    return (req, res) => serve(req, res, () => res.writeHead(404).end());
  },
});
