'use strict';

/** What every binary of this version has; `Addon` in native.js says more of each. */
module.exports.EXPORTS = [
  ...['init', 'syscall', 'constants', 'sendfileSync', 'sendfile', 'waitWritable', 'cancel', 'progress'],
  ...['openCached', 'open', 'adopt', 'read', 'position', 'seek', 'release'],
  ...['isStreamSocket', 'transfer', 'sendNow'],
];
