'use strict';

const diagnostics = require('node:diagnostics_channel');
const { Status } = require('./status');

/** As much of a path as is kept: a client may ask for one of 16 KiB. */
const PATH_CHARS = 256;

/**
 * Tells a store of every transfer to a response in this process, by what rs-sendfile publishes.
 * @param {Status} [store]
 */
function followTransfers(store = new Status()) {
  /** By response: how many bytes somebody expects of it, and its transfer with what rs-sendfile says of it. */
  const expected = new WeakMap();
  const current = new WeakMap();

  const onStart = (message) => {
    const { req } = message.out;
    // The answer to HEAD is no transfer: nothing of the file moves.
    if (!req || req.method === 'HEAD') return;
    const transfer = store.begin({
      path: shownPath(req.url),
      client: addressOf(req.socket),
      total: expected.get(message.out),
    });
    current.set(message.out, { transfer, message });
  };

  const onEnd = (message) => {
    const entry = current.get(message.out);
    if (entry?.message !== message) return;
    const { bytes: sent, duration: ms, error } = message;
    store.end(entry.transfer, { ...factsOf(message), sent, ms, error });
  };

  const channels = { start: onStart, asyncEnd: onEnd };
  for (const [name, listener] of Object.entries(channels)) {
    diagnostics.subscribe(`tracing:rs-sendfile:transfer:${name}`, listener);
  }

  return {
    store,
    /**
     * The `onProgress` of a transfer to this response.
     * @param {import('node:http').ServerResponse} res
     * @param {number} total bytes, as far as the caller knows
     */
    follow(res, total) {
      expected.set(res, total);
      return (sent) => {
        const entry = current.get(res);
        if (entry) store.progress(entry.transfer, { ...factsOf(entry.message), sent });
      };
    },
    stop() {
      for (const [name, listener] of Object.entries(channels)) {
        diagnostics.unsubscribe(`tracing:rs-sendfile:transfer:${name}`, listener);
      }
    },
  };
}

/** What rs-sendfile says of a transfer, also while it is under way; its length is what the response has promised. */
function factsOf({ out, method, reason, waits }) {
  const length = out.getHeader('content-length');
  return { method, reason, waits, total: length === undefined ? undefined : Number(length) };
}

/** One that has left has no address any more. */
function addressOf({ remoteAddress, remotePort }) {
  return remoteAddress === undefined ? '-' : `${remoteAddress}:${remotePort}`;
}

/** A path for people: decoded, and without what would steer the text around it. */
function shownPath(url) {
  const path = url.replace(/[?#].*$/s, '');
  const text = decode(path).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\ufffd');
  const signs = Array.from(text.slice(0, 2 * PATH_CHARS + 2));
  return signs.length > PATH_CHARS ? `${signs.slice(0, PATH_CHARS - 1).join('')}…` : text;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

module.exports = { followTransfers, shownPath };
