'use strict';

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { pipeline } = require('node:stream/promises');

/** The SHA-256 of a file, in base64. */
async function sha256Of(file) {
  const hash = createHash('sha256');
  await pipeline(fs.createReadStream(file), hash);
  return hash.digest('base64');
}

module.exports = { sha256Of };
