'use strict';

const UNITS = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `64k` as a number of bytes. */
function bytesOf(size) {
  const match = /^(\d+)([kmg])$/.exec(size);
  if (!match) throw new Error(`a size is a number and k, m or g, such as 64k: ${size}`);
  return Number(match[1]) * UNITS[match[2]];
}

/** `64k` as people write it. */
const spoken = (size) => `${Number.parseInt(size, 10)} ${size.at(-1).toUpperCase()}iB`;

module.exports = { bytesOf, spoken };
