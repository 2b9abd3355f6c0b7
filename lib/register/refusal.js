'use strict';

/** Why the next bytes of a stream are for Node to read, and not for the kernel to send. */

const fs = require('node:fs');
const http = require('node:http');
const { Readable } = require('node:stream');
const copy = require('../copy');
const { native, support } = require('../native');
const response = require('../response');

/** Node's own, as they were when this was loaded. */
const { read, push, emit } = /** @type {any} */ (Readable.prototype);
const { open: openFile, read: readFile } = fs;
const { prototype } = /** @type {any} */ (fs.ReadStream);
const { open, _construct, _destroy } = prototype;

/** By these names a ReadStream keeps the file system that its descriptor belongs to, and its FileHandle. */
const FS = 'kFs';
const HANDLE = 'kHandle';

/** `copy.refusal` asks for a source of known size. */
const SIZED = /** @type {import('../source').Source} */ (/** @type {unknown} */ ({ size: 0 }));

/**
 * What will not change while the stream lives: it is not one of Node's own, as Node made it, on the kernel's own files.
 * @param {any} stream
 * @returns {string | undefined}
 */
function ofStream(stream) {
  if (native === null || !support.available) return 'unsupported';
  if (fs.open !== openFile || fs.read !== readFile) return 'patched fs';
  if (held(stream, FS) === fs) return undefined;
  // A FileHandle's stream has a file system object of Node's own, made of the handle.
  const handle = held(stream, HANDLE);
  return handle && !Object.hasOwn(handle, 'read') ? undefined : 'custom fs';
}

/** Node's private symbols, as they were met. @type {Map<string, symbol>} */
const met = new Map();

/**
 * @param {any} stream
 * @param {string} name
 */
function held(stream, name) {
  const known = met.get(name);
  if (known && Object.hasOwn(stream, known)) return stream[known];
  const symbol = Object.getOwnPropertySymbols(stream).find(({ description }) => description === name);
  if (symbol) met.set(name, symbol);
  return symbol && stream[symbol];
}

/**
 * Methods that are not Node's: of the stream, of its class, or above it.
 * @param {any} stream
 * @param {Function} hooked the `_read` that has asked
 */
function isOverridden(stream, hooked) {
  return (
    stream._read !== hooked ||
    stream.read !== read ||
    stream.push !== push ||
    stream.emit !== emit ||
    stream.open !== open ||
    stream._construct !== _construct ||
    stream._destroy !== _destroy
  );
}

/**
 * What the stream's bytes must not go past: whoever else wants to see them.
 * @param {any} stream
 * @param {any} dest
 * @param {Function} ondata the pipe's own listener
 * @returns {string | undefined}
 */
function ofReaders(stream, dest, ondata) {
  if (stream.readableEncoding !== null) return 'encoding';
  const { pipes } = stream._readableState;
  if (!Array.isArray(pipes) || pipes.length > 1) return 'second destination';
  if (pipes[0] !== dest) return 'unpiped';
  const listeners = stream.rawListeners('data');
  if (listeners.length !== 1 || listeners[0] !== ondata) return 'data listener';
  if (stream.listenerCount('readable') > 0) return 'readable listener';
  return stream.readableFlowing === true && stream.readableLength === 0 ? undefined : 'paused';
}

/**
 * Where no transfer can take a place in the response's queue.
 * @param {any} dest
 * @returns {string | undefined}
 */
function ofResponse(dest) {
  if (!(dest instanceof http.ServerResponse)) return 'HTTP/2';
  if (response.isBodyless(dest)) return 'no body';
  if (copy.unusable(dest)) return 'ended';
  if (dest.hasHeader('trailer') || /** @type {any} */ (dest)._trailer) return 'trailers';
  return copy.refusal(dest, SIZED);
}

module.exports = { ofStream, isOverridden, ofReaders, ofResponse };
