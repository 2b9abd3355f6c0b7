'use strict';

const { sendfileSync, waitWritable } = require('../..');

/**
 * One pass inside the kernel.
 * @param {number} out  the socket
 * @param {number} file
 * @param {number} offset
 * @param {number} length
 * @returns {Promise<number>} how often the socket was full
 */
module.exports = async function pass(out, file, offset, length) {
  let waits = 0;
  for (let sent = 0; sent < length; ) {
    try {
      sent += sendfileSync(out, file, offset + sent, length - sent);
    } catch (err) {
      if (err.code !== 'EAGAIN') throw err;
      waits++;
      await waitWritable(out);
    }
  }
  return waits;
};
