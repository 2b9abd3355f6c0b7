'use strict';

const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: 'sirv',
  scenarios: 'ceg',
  needs: ['sirv'],
  handler({ root }) {
    const serve = require('sirv')(root);
    return (req, res) => serve(req, res, () => res.writeHead(404).end());
  },
});
