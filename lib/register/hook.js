'use strict';

/**
 * Methods of ReadStream, for all streams or for one: `pipe` and `unpipe`, which take note of responses, and `_read`,
 * which may have the kernel send what was to be read.
 */

const fs = require('node:fs');
const http = require('node:http');
const { follow, intakeOf } = require('./intake');
const { closeSoon, isDead, watchConnection } = require('./leak');

/** @param {any} dest */
function isResponse(dest) {
  // HTTP/2's compatibility layer has the same methods over a stream of its own.
  return dest instanceof http.ServerResponse || (typeof dest?.writeHead === 'function' && 'stream' in dest);
}

/**
 * @param {any} object
 * @returns {() => void} takes it back
 */
function over(object) {
  const node = { pipe: object.pipe, unpipe: object.unpipe, read: object._read };
  let active = true;

  /**
   * @this {any}
   * @param {any} dest
   * @param {any} options
   */
  function pipe(dest, options) {
    const result = node.pipe.call(this, dest, options);
    if (active && isResponse(dest)) {
      follow(this, dest);
      watchConnection(this, dest);
      // Its end has been told, and will not be again.
      if (isDead(dest)) closeSoon(this);
    }
    return result;
  }

  /**
   * @this {any}
   * @param {any} [dest] none: all there are
   */
  function unpipe(dest) {
    const result = node.unpipe.call(this, dest);
    const intake = active ? intakeOf(this) : undefined;
    if (intake) {
      intake.onUnpipe();
      if (isDead(dest ?? intake.dest)) closeSoon(this);
    }
    return result;
  }

  /**
   * @this {any}
   * @param {number} n
   */
  function _read(n) {
    const readOn = () => node.read.call(this, n);
    const intake = active ? intakeOf(this) : undefined;
    if (intake) intake.read(_read, readOn);
    else readOn();
  }

  const undo = [
    define(object, 'pipe', pipe),
    define(object, 'unpipe', unpipe),
    define(object, '_read', _read),
  ];
  return () => {
    active = false;
    for (const each of undo) each();
  };
}

/**
 * @param {any} object
 * @param {string} name
 * @param {Function} value
 */
function define(object, name, value) {
  const before = Object.getOwnPropertyDescriptor(object, name);
  const enumerable = before?.enumerable ?? false;
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable });
  return () => {
    if (object[name] !== value) return; // somebody has come over it meanwhile
    if (before) Object.defineProperty(object, name, before);
    else delete object[name];
  };
}

/** @type {(() => void) | null} */
let undo = null;

/** Hooks every ReadStream of this thread. */
function register() {
  undo ??= over(fs.ReadStream.prototype);
}

function unregister() {
  undo?.();
  undo = null;
}

/**
 * Hooks one ReadStream, before it is piped.
 * @param {fs.ReadStream} stream
 */
function hookOne(stream) {
  over(stream);
}

module.exports = { register, unregister, hookOne };
