'use strict';

/** The server's side of a plan: does its operations on a stream, and tells what came of each transfer. */

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const path = require('node:path');
const { sendfile, transfer, waitWritable } = require('../..');
const { bytesOf } = require('./content');
const { WRITE_SEED } = require('./plan');

const storage = new AsyncLocalStorage();
/** Callbacks that found themselves in another request's context. */
const counts = { wrongContext: 0, decoys: 0 };

/** A number that has just become free is taken at once, by a file that nobody should ever see. */
function takeNumber(decoy) {
  try {
    const fd = fs.openSync(decoy);
    counts.decoys++;
    setImmediate(() => fs.closeSync(fd));
  } catch (error) {
    if (error.code !== 'EMFILE') throw error;
  }
}

/**
 * The operations of one request or connection, in order.
 * @param {any} out
 * @param {{ id: string, ops: any[], awaits: boolean, cork?: boolean }} request
 * @param {{ files: string[], decoy: string, directory: string, timeout: number }} where
 * @returns {Promise<{ code: string | null, bytes: number }[]>} one for each transfer that was begun
 */
function perform(out, request, where) {
  const { id, ops, awaits, cork } = request;
  return storage.run(id, async () => {
    const results = [];
    const check = () => {
      if (storage.getStore() !== id) counts.wrongContext++;
    };
    if (cork) out.cork();
    let uncork = cork;
    for (const op of ops) {
      if (op.op === 'write') {
        out.write(bytesOf(op.seed, 0, op.length));
        continue;
      }
      const result = begin(out, op, where, id, check).then(
        (bytes) => ({ code: null, bytes }),
        (error) => ({ code: error.code ?? String(error.stack), bytes: error.bytesSent ?? 0 }),
      );
      results.push(result);
      if (uncork) process.nextTick(() => out.uncork());
      uncork = false;
      // A path is queued later than what is written next.
      const queuesLater = op.way === 'path' || op.way === 'handle';
      if (awaits || queuesLater) {
        const { code } = await result;
        check();
        if (code !== null) break;
      }
    }
    return Promise.all(results);
  });
}

/** @returns {Promise<number>} */
async function begin(out, op, { files, decoy, directory, timeout }, id, check) {
  const { offset, length, headers, trailers, method } = op;
  const options = {
    offset,
    length,
    headers: bytesOf(WRITE_SEED + 500, 0, headers),
    trailers: bytesOf(WRITE_SEED + 501, 0, trailers),
    method,
    timeout,
    ...(op.progress && { onProgress: check }),
    ...(op.abortAfter !== undefined && { signal: AbortSignal.timeout(op.abortAfter) }),
  };
  const file = files[op.file];
  if (op.way === 'path') return transfer(out, file, options);
  if (op.way === 'own') return sendOwn(out, op, options, file, path.join(directory, `own-${id}`));
  if (op.way === 'handle') {
    const handle = await fs.promises.open(file);
    const sending = transfer(out, handle, options);
    const [sent] = await Promise.allSettled([sending, handle.close().then(() => takeNumber(decoy))]);
    if (sent.status === 'rejected') throw sent.reason;
    return sent.value;
  }
  const fd = fs.openSync(file);
  const sending = transfer(out, fd, options);
  fs.closeSync(fd);
  takeNumber(decoy);
  return sending;
}

/** A file of its own, which is shortened or deleted under the transfer. */
async function sendOwn(out, op, options, file, own) {
  fs.copyFileSync(file, own);
  const fd = fs.openSync(own, 'r+');
  try {
    if (op.unlinked) fs.unlinkSync(own);
    const sending = transfer(out, fd, options);
    if (op.shrinkAfter === undefined) return await sending;
    const shrunk = new Promise((resolve) => setTimeout(resolve, op.shrinkAfter)).then(() =>
      fs.ftruncateSync(fd, op.shrinkTo),
    );
    const [sent] = await Promise.allSettled([sending, shrunk]);
    if (sent.status === 'rejected') throw sent.reason;
    return sent.value;
  } finally {
    fs.closeSync(fd);
    fs.rmSync(own, { force: true });
  }
}

/**
 * The same by raw calls, each with descriptors of its own that are closed as soon as the call has returned.
 * @returns {Promise<{ code: string | null, bytes: number }[]>}
 */
async function performCalls(socket, { ops }, { files, decoy, timeout }) {
  const results = [];
  // A wait holds a duplicate of its socket: it must end with it.
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const waiting = { signal: gone.signal, timeout };
  for (const op of ops) {
    if (op.op === 'write') {
      await new Promise((resolve) => socket.write(bytesOf(op.seed, 0, op.length), resolve));
      continue;
    }
    const all = [bytesOf(WRITE_SEED + 500, 0, op.headers), null, bytesOf(WRITE_SEED + 501, 0, op.trailers)];
    const result = { code: null, bytes: 0 };
    results.push(result);
    try {
      const total = op.headers + op.length + op.trailers;
      while (result.bytes < total) {
        if (socket.destroyed) throw Object.assign(new Error('left'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
        result.bytes += await once(socket, op, all, result.bytes, files[op.file], decoy, waiting);
      }
    } catch (error) {
      result.code = LEFT.has(error.code) ? 'ERR_STREAM_PREMATURE_CLOSE' : (error.code ?? error.stack);
      break;
    }
  }
  return results;
}

/** How a raw call tells of a peer that has left, or of a socket that Node has closed meanwhile. */
const LEFT = new Set(['EPIPE', 'ECONNRESET', 'EBADF', 'ABORT_ERR']);

async function once(socket, op, [headers, , trailers], sent, file, decoy, waiting) {
  const out = socket._handle?.fd ?? -1;
  const inHeaders = Math.min(sent, op.headers);
  const inFile = Math.min(sent - inHeaders, op.length);
  const fd = fs.openSync(file);
  const calling = sendfile(out, fd, op.offset + inFile, op.length - inFile, {
    headers: headers.subarray(inHeaders),
    trailers: trailers.subarray(sent - inHeaders - inFile),
  });
  fs.closeSync(fd);
  takeNumber(decoy);
  try {
    return await calling;
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
    await waitWritable(socket._handle?.fd ?? -1, waiting);
    return 0;
  }
}

module.exports = { perform, performCalls, counts };
