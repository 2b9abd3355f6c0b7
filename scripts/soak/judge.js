'use strict';

/** Holds what came of a connection against its plan. */

const { allowedOf, isFaulty, rangesOf, CLOSED } = require('./plan');

/** Descriptors that run out may cost a transfer, or the connection before it began. */
const OUT_OF_DESCRIPTORS = ['EMFILE', CLOSED];

/**
 * What is wrong with a connection; an empty list if nothing is.
 * @param {any} plan
 * @param {import('./clients').Outcome} outcome
 * @param {Map<string, { code: string | null, bytes: number }[]>} reports
 * @param {boolean} stormy descriptors ran out meanwhile
 * @returns {string[]}
 */
function judge(plan, outcome, reports, stormy) {
  const wrong = [];
  const results = plan.requests.flatMap(({ id }) => reports.get(id) ?? []);
  // Whoever does not await a transfer goes on writing after one that could not begin.
  const isBroken = stormy && results.some(({ code }) => code === 'EMFILE');
  if (!outcome.right && !isBroken) wrong.push(`bytes: ${outcome.wrong}`);
  const free = !isFaulty(plan) && !stormy;
  if (free && !outcome.whole)
    wrong.push(`not whole: ${outcome.bytes} bytes came, ${outcome.error ?? 'no error'}`);
  const allowed = allowedOf(plan);
  if (stormy) for (const code of OUT_OF_DESCRIPTORS) allowed.add(code);
  for (const request of plan.requests) {
    const results = reports.get(request.id);
    if (!results) {
      if (free) wrong.push(`${request.id}: the server has not reported`);
      continue;
    }
    const transfers = request.ops.filter(({ op }) => op === 'transfer');
    results.forEach(({ code, bytes }, i) => {
      const { headers, length, trailers } = transfers[i];
      const all = request.method === 'HEAD' ? 0 : headers + length + trailers;
      if (code === null && bytes !== all) wrong.push(`${request.id}: resolved with ${bytes} of ${all}`);
      // A client that has all that was promised may leave before an empty transfer is begun.
      const isLate = all === 0 && code === CLOSED;
      if (code !== null && !isLate && !allowed.has(code)) wrong.push(`${request.id}: ${code}`);
      if (bytes > all) wrong.push(`${request.id}: counted ${bytes} of ${all}`);
    });
    if (!stormy) wrong.push(...lost(plan, request, outcome, results));
  }
  return wrong;
}

/** More bytes came than the transfers have counted: a count was lost. */
function lost({ kind }, { id, ops }, { bytes }, results) {
  // Only where the kernel itself counts, and every byte that came is this request's.
  const counted = kind === 'tcp' || kind === 'unix' || kind === 'call';
  if (!counted || ops.some(({ method }) => method === 'copy')) return [];
  let at = 0;
  let came = 0;
  for (const op of ops) {
    for (const { length } of rangesOf([op])) {
      const here = Math.max(0, Math.min(length, bytes - at));
      at += length;
      if (op.op === 'transfer') came += here;
    }
  }
  const told = results.reduce((sum, result) => sum + result.bytes, 0);
  return came > told ? [`${id}: ${came} bytes of transfers came, ${told} were counted`] : [];
}

module.exports = { judge };
