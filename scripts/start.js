'use strict';

/** `npm start -- [dir] [--port N]`: whatever is missing, then examples/http.js. */

const { ensure } = require('./ensure');
const { followNpm } = require('./follow-npm');
const { readOptions } = require('../examples/lib/options');

followNpm();
readOptions(process.argv.slice(2)); // a wrong argument is said at once, not after a build
ensure();
const { server, page } = require('../examples/http');
server.on('listening', () => {
  console.log(`its transfers are shown on http://127.0.0.1:${server.address().port}${page.path}`);
});
