'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { nodeServer } = require('../lib/node-server');

module.exports = nodeServer(__filename, {
  title: 'res.end(buffer)',
  scenarios: 'c',
  handler({ root }) {
    const files = new Map(
      fs.readdirSync(root).map((name) => [`/${name}`, fs.readFileSync(path.join(root, name))]),
    );
    return (req, res) => res.end(files.get(req.url));
  },
});
