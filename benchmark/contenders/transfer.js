'use strict';

const path = require('node:path');
const { nodeServer } = require('../lib/node-server');
const { takeRange } = require('../lib/range');

module.exports = nodeServer(__filename, {
  title: 'sendfile(res, path)',
  scenarios: 'cdefg',
  handler({ root }) {
    const { sendfile } = require('../..');
    return (req, res) => {
      const range = takeRange(req, res);
      sendfile(res, path.join(root, req.url), range?.start, range?.length).then(
        () => res.end(),
        () => res.destroy(),
      );
    };
  },
});
