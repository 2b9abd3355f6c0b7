/** Is in every process of a suite beside rs-sendfile/register, and writes down what that did. */

const fs = require('node:fs');
const register = require('../../register.js');

process.on('exit', () => {
  fs.appendFileSync(process.env.RS_SENDFILE_FRAMEWORKS_STATS, `${JSON.stringify(register.stats())}\n`);
});
