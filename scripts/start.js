'use strict';

/** `npm start -- [dir] [--port N]`: whatever is missing, then examples/http.js. */

const { ensure } = require('./ensure');
const { readOptions } = require('../examples/lib/options');

if (process.env.INIT_CWD) {
  // npm runs scripts in the package's directory; a relative `dir` is meant from where the user stands.
  process.chdir(process.env.INIT_CWD);
  // A SIGTERM to npm ends npm and its shell, but the shell does not pass it on: without them we end too.
  const parent = process.ppid;
  const watch = () => process.ppid !== parent && process.kill(process.pid, 'SIGTERM');
  setInterval(watch, 500).unref();
}

readOptions(process.argv.slice(2)); // a wrong argument is said at once, not after a build
ensure();
const { server, page } = require('../examples/http');
server.on('listening', () => {
  console.log(`its transfers are shown on http://127.0.0.1:${server.address().port}${page.path}`);
});
