'use strict';

const fs = require('node:fs');
const { nodePass } = require('../lib/line-program');

let buffer = Buffer.alloc(0);

/** One pass through user space: read a piece of the file, then write it, all of it. */
module.exports = nodePass(__filename, {
  title: 'Node: read, write',
  async pass(out, file, offset, length, writable) {
    if (buffer.length < length) buffer = Buffer.alloc(length);
    fs.readSync(file, buffer, 0, length, offset);
    for (let sent = 0; sent < length; ) {
      try {
        sent += fs.writeSync(out, buffer, sent, length - sent);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
        await writable();
      }
    }
  },
});
