'use strict';

const errors = require('./lib/errors');
const { sendOver } = require('./lib/send');

// Asked for apart: a file that is missing inside of it is another error, and its own.
try {
  require.resolve('send');
} catch (error) {
  throw errors.peerMissing('send', error);
}

const send = sendOver(require('send'));

module.exports = send;
// Versions before 1 have it. Written out, so that `import { mime }` sees the name.
if ('mime' in send) module.exports.mime = send.mime;
