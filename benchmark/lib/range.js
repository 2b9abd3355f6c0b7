'use strict';

/**
 * The one range that the benchmark asks for, `bytes=first-last`, with the head of its answer set; undefined for a whole
 * file. No more than a measurement needs: a server for people takes range-parser.
 */
function takeRange(req, res) {
  const match = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '');
  if (!match) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  res.statusCode = 206;
  res.setHeader('Content-Range', `bytes ${start}-${end}/*`);
  return { start, end, length: end - start + 1 };
}

module.exports = { takeRange };
