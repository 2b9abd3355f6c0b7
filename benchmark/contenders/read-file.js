'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: 'readFile, res.end',
  scenarios: 'c',
  handler({ root }) {
    return (req, res) => {
      fs.readFile(path.join(root, req.url), (error, bytes) => {
        if (error) res.writeHead(404).end();
        else res.end(bytes);
      });
    };
  },
});
