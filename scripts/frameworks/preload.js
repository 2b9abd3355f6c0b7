/** Is in every process of a suite beside rs-sendfile/register, and writes down what that did. */

const fs = require('node:fs');
const { subscribe } = require('node:diagnostics_channel');

const { RS_SENDFILE_FRAMEWORKS_METHOD: method, RS_SENDFILE_FRAMEWORKS_STATS: file } = process.env;
if (method) {
  const args = require('../../lib/args');
  args.DEFAULTS = Object.freeze({ ...args.DEFAULTS, method });
}

const register = require('../../register.js');

/** Streams whose bytes the kernel has sent. */
let sent = 0;
subscribe('tracing:rs-sendfile:transfer:asyncEnd', (transfer) => {
  if (transfer.method === 'sendfile') sent++;
});

process.on('exit', () => {
  fs.appendFileSync(file, `${JSON.stringify({ ...register.stats(), sent })}\n`);
});
