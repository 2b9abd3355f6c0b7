'use strict';

const fs = require('node:fs');
const { waitWritable } = require('../..');

let buffer = Buffer.alloc(0);

/**
 * One pass through user space: read a piece of the file, then write it, all of it.
 * @param {number} out  the socket
 * @param {number} file
 * @param {number} offset
 * @param {number} length
 * @returns {Promise<number>} how often the socket was full
 */
module.exports = async function pass(out, file, offset, length) {
  if (buffer.length < length) buffer = Buffer.alloc(length);
  let waits = 0;
  fs.readSync(file, buffer, 0, length, offset);
  for (let sent = 0; sent < length; ) {
    try {
      sent += fs.writeSync(out, buffer, sent, length - sent);
    } catch (err) {
      if (err.code !== 'EAGAIN') throw err;
      waits++;
      await waitWritable(out);
    }
  }
  return waits;
};
