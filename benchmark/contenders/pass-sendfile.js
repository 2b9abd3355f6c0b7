'use strict';

const { sendfileSync } = require('../..');
const { nodePass } = require('../lib/line-program');

/** One pass inside the kernel. */
module.exports = nodePass(__filename, {
  title: 'sendfileSync',
  async pass(out, file, offset, length, writable) {
    for (let sent = 0; sent < length; ) {
      try {
        sent += sendfileSync(out, file, offset + sent, length - sent);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
        await writable();
      }
    }
  },
});
