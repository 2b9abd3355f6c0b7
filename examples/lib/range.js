'use strict';

const parseRange = require('range-parser');
const { HttpError } = require('./resource');

/**
 * What a request asks of a file: the status, the headers, and the part of it. A range that the file does not have is an
 * HttpError 416; several ranges or a malformed one get the whole file, as RFC 9110 lets a server do.
 * @param {{ method?: string, headers: import('node:http').IncomingHttpHeaders }} request
 * @param {import('node:fs').Stats} stat
 * @returns {{ status: number, headers: Record<string, string>, offset: number, length: number }}
 */
function selectRange({ method, headers: { range, 'if-range': condition } }, { size, mtime }) {
  const etag = `"${size.toString(16)}-${mtime.getTime().toString(16)}"`;
  const headers = { 'Accept-Ranges': 'bytes', ETag: etag, 'Last-Modified': mtime.toUTCString() };
  const whole = { status: 200, headers, offset: 0, length: size };
  if (method !== 'GET' || range === undefined) return whole;
  // A part of what has changed since would not fit the part that the client holds.
  if (condition !== undefined && condition !== etag && condition !== headers['Last-Modified']) return whole;

  const ranges = parseRange(size, range);
  if (ranges === -1) throw new HttpError(416, { 'Content-Range': `bytes */${size}` });
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return whole;
  const [{ start, end }] = ranges; // end: the last byte, not the one after it
  return {
    status: 206,
    headers: { ...headers, 'Content-Range': `bytes ${start}-${end}/${size}` },
    offset: start,
    length: end - start + 1,
  };
}

module.exports = { selectRange };
