'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { nodeServer } = require('../lib/node-server');
const { takeRange } = require('../lib/range');

module.exports = nodeServer(__filename, {
  title: 'createReadStream().pipe',
  scenarios: 'cdefg',
  handler({ root }) {
    return (req, res) => {
      fs.createReadStream(path.join(root, req.url), takeRange(req, res)).pipe(res);
    };
  },
});
