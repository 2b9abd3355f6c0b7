'use strict';

const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: 'Express res.sendFile',
  scenarios: 'cdg',
  needs: ['express'],
  handler({ root }) {
    const app = require('express')();
    app.use((req, res) => res.sendFile(req.path, { root }));
    return app;
  },
});
