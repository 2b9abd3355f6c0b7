'use strict';

/**
 * Hearing of an emitter's 'close' many times over with one listener: a connection on which hundreds of responses wait
 * is no leak, and Node must not warn of one.
 */

const kHearers = Symbol('rs-sendfile close');

/** @this {any} */
function onClose() {
  for (const hear of [...this[kHearers]]) hear();
}

/**
 * Calls `hear` when the emitter closes. Returns how to stop it.
 * @param {any} emitter
 * @param {() => void} hear
 * @returns {() => void}
 */
function whenClosed(emitter, hear) {
  let hearers = emitter[kHearers];
  if (!hearers) {
    hearers = new Set();
    Object.defineProperty(emitter, kHearers, { value: hearers });
  }
  if (hearers.size === 0) emitter.on('close', onClose);
  hearers.add(hear);
  return () => {
    if (hearers.delete(hear) && hearers.size === 0) emitter.off('close', onClose);
  };
}

module.exports = { whenClosed };
