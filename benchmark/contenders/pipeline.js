'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { pipeline } = require('node:stream');
const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: 'fs.stat, pipeline',
  scenarios: 'ce',
  handler({ root }) {
    return (req, res) => {
      const file = path.join(root, req.url);
      fs.stat(file, (error, stat) => {
        if (error) return res.writeHead(404).end();
        res.setHeader('Content-Length', stat.size);
        pipeline(fs.createReadStream(file), res, () => {});
      });
    };
  },
});
