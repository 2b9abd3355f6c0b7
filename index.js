'use strict';

const { constants, support } = require('./lib/native');
const { sendfile, sendfileSync, transfer } = require('./lib/sendfile');
const { waitWritable } = require('./lib/wait');

// Written out one by one, so that `import { ... }` sees the names.
module.exports.sendfile = sendfile;
module.exports.sendfileSync = sendfileSync;
module.exports.transfer = transfer;
module.exports.waitWritable = waitWritable;
module.exports.constants = constants;
module.exports.support = support;
module.exports.SF_NODISKIO = constants.SF_NODISKIO;
module.exports.SF_MNOWAIT = constants.SF_MNOWAIT;
module.exports.SF_SYNC = constants.SF_SYNC;
module.exports.SF_USER_READAHEAD = constants.SF_USER_READAHEAD;
module.exports.SF_NOCACHE = constants.SF_NOCACHE;
