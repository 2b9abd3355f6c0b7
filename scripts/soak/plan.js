'use strict';

/**
 * What one connection is to do, drawn at random: what the server sends on it, who breaks it off and when, and what may
 * come of that. The client draws it, the server performs it, and both know every byte.
 */

/** The files by size. The seed of a file's content is its place here, plus one. */
const SIZES = [0, 1, 11, 4096, 65_536, 300_001, (1 << 20) + 7, 12 << 20];
/** Seeds of what is written around the files, and of files that nobody should ever see. */
const WRITE_SEED = 1000;
const DECOY_SEED = 5000;

const LEAVINGS = ['fin', 'rst', 'half', 'silence'];
const CLOSED = 'ERR_STREAM_PREMATURE_CLOSE';
/** `silence` is ended by the transfers' own timeout. */
const TIMEOUT_MS = 400;

/** @param {import('./random').Random} random */
function drawTransfer(random, { abort = false, shrink = false } = {}) {
  const file = random.whole(0, SIZES.length - 1);
  const size = SIZES[file];
  const offset = random.chance(0.5) ? 0 : random.whole(0, size);
  const length = random.chance(0.5) ? size - offset : random.whole(0, size - offset);
  const op = {
    op: 'transfer',
    file,
    offset,
    length,
    way: random.pick(['path', 'fd', 'fd', 'handle']),
    headers: random.chance(0.2) ? random.whole(1, 2000) : 0,
    trailers: random.chance(0.2) ? random.whole(1, 2000) : 0,
    method: random.chance(0.15) ? 'copy' : 'auto',
    progress: random.chance(0.2),
  };
  if (abort) Object.assign(op, { abortAfter: random.whole(0, 15) });
  if (shrink)
    Object.assign(op, { way: 'own', shrinkAfter: random.whole(0, 10), shrinkTo: random.whole(0, size) });
  // A file of its own that loses its name while it is being sent loses nothing else.
  else if (random.chance(0.05)) Object.assign(op, { way: 'own', unlinked: true });
  return op;
}

/** @param {import('./random').Random} random */
function drawOps(random, limit, faults) {
  const ops = [];
  const count = random.whole(1, limit);
  const faulty = random.whole(0, count - 1);
  for (let i = 0; i < count; i++) {
    if (random.chance(0.5)) ops.push({ op: 'write', seed: WRITE_SEED + i, length: random.whole(1, 3000) });
    if (i === faulty) {
      ops.push(drawTransfer(random, faults));
      // What follows an aborted transfer depends on the moment; so nothing does.
      if (faults.abort || faults.shrink) return ops;
    } else ops.push(drawTransfer(random));
  }
  if (random.chance(0.5)) ops.push({ op: 'write', seed: WRITE_SEED + count, length: random.whole(1, 3000) });
  return ops;
}

/** The ranges that arrive if nothing is broken off. */
function rangesOf(ops) {
  return ops.flatMap((op) => {
    if (op.op === 'write') return [{ seed: op.seed, offset: 0, length: op.length }];
    const { file, offset, length, headers, trailers, shrinkTo = Infinity } = op;
    // Zero copy is no snapshot: what is cut off a file while its bytes wait in a socket may arrive as zeros.
    const kept = Math.max(0, Math.min(length, shrinkTo - offset));
    return [
      { seed: WRITE_SEED + 500, offset: 0, length: headers },
      { seed: file + 1, offset, length: kept },
      { seed: file + 1, offset: offset + kept, length: length - kept, mayBeZero: true },
      { seed: WRITE_SEED + 501, offset: 0, length: trailers },
    ];
  });
}

const lengthOf = (ops) => rangesOf(ops).reduce((sum, { length }) => sum + length, 0);

/** The codes that a transfer may end with, beside success. */
function allowedOf(plan) {
  const codes = new Set();
  for (const { ops } of plan.requests) {
    for (const op of ops) {
      if (op.abortAfter !== undefined) codes.add('ABORT_ERR');
      if (op.shrinkAfter !== undefined) codes.add('ERR_SENDFILE_TRUNCATED');
    }
  }
  // Whoever ends one transfer ends its connection, and others queue on that.
  if (codes.size > 0 || plan.fault) codes.add(CLOSED);
  // On a busy machine a transfer may be out of time before its peer has left.
  if (plan.fault) codes.add('ERR_SENDFILE_TIMEOUT');
  if (plan.fault) codes.add('ERR_STREAM_WRITE_AFTER_END');
  return codes;
}

/**
 * @param {import('./random').Random} random
 * @param {number} id
 */
function draw(random, id) {
  const kind = random.pick(['tcp', 'unix', 'http', 'http', 'http', 'https', 'http2', 'gzip', 'call']);
  const trouble = random.chance(0.45);
  const byServer = trouble && random.chance(0.4) && kind !== 'call';
  const faults = { abort: byServer && random.chance(0.5), shrink: false };
  faults.shrink = byServer && !faults.abort;
  const count = kind === 'http' ? random.whole(1, 12) : 1;
  const limit = kind === 'http' ? 3 : 5;
  const requests = [];
  for (let i = 0; i < count; i++) {
    const last = i === count - 1;
    const ops = drawOps(random, kind === 'call' ? 1 : limit, last ? faults : {});
    // What compresses, or has no chunks of its own, leaves fewer ways to say how long a body is.
    const framings =
      kind === 'gzip' ? ['chunked'] : kind === 'http2' ? ['set', 'head'] : ['set', 'head', 'chunked'];
    if (ops.length === 1 && kind !== 'gzip') framings.push('auto');
    // The first body of a connection of which a part was written in an earlier turn cannot be counted, and its connection
    // ends after it.
    if (kind === 'http' && i === 0 && ops[0].op === 'write') ops.shift();
    const copying = kind === 'http' && random.chance(0.1);
    // Only the kernel's way queues a transfer in the turn of its call: elsewhere what is written next must wait for it.
    const queues = !copying && (kind === 'tcp' || kind === 'unix' || kind === 'http');
    requests.push({
      id: `${id}.${i}`,
      ops,
      framing: random.pick(framings),
      method: kind === 'http' && random.chance(0.05) ? 'HEAD' : 'GET',
      cork: random.chance(0.15),
      copying,
      awaits: !queues || random.chance(0.5),
    });
  }
  const total = requests.reduce((sum, { ops }) => sum + lengthOf(ops), 0);
  const leaves = trouble && !byServer;
  // Most leave early: at the end of a small body there is nothing left to break off.
  const fault = leaves ? { kind: random.pick(LEAVINGS), at: random.whole(0, random.whole(0, total)) } : null;
  // Nobody but the server itself ends a connection whose client is silent: by the transfers' timeout, or by its own hand.
  const destroyAfter = fault?.kind === 'silence' && random.chance(0.5) ? random.whole(10, 200) : undefined;
  return {
    id,
    kind,
    requests,
    total,
    slow: random.chance(0.25),
    timeout: leaves && destroyAfter === undefined ? TIMEOUT_MS : 0,
    destroyAfter,
    fault,
  };
}

const isFaulty = (plan) =>
  plan.fault !== null ||
  plan.requests.some(({ ops }) =>
    ops.some((op) => op.abortAfter !== undefined || op.shrinkAfter !== undefined),
  );

module.exports = { CLOSED, SIZES, WRITE_SEED, DECOY_SEED, draw, rangesOf, lengthOf, allowedOf, isFaulty };
