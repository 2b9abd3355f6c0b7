'use strict';

/** The status page over HTTP: its files, and a stream of events (server-sent) with what has changed in a store. */

const fs = require('node:fs');
const path = require('node:path');

const PAGE = '/__sendfile';
const EVENTS = `${PAGE}/events`;
/** Read once: a server that is out of descriptors still shows its page. */
const FILES = new Map([
  [PAGE, load('page.html', 'text/html')],
  [`${PAGE}/page.css`, load('page.css', 'text/css')],
  [`${PAGE}/page.js`, load('page.js', 'text/javascript')],
  [`${PAGE}/icon.svg`, load('icon.svg', 'image/svg+xml')],
]);

const HEADERS = {
  'Cache-Control': 'no-store',
  // Everything is of this server, nothing is inline.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** How often a reader hears what has changed; that the server is there; and how long one that reads nothing is kept. */
const EVERY_MS = 200;
const BEAT_MS = 10_000;
const PATIENCE_MS = 30_000;

function load(name, type) {
  return { type: `${type}; charset=utf-8`, body: fs.readFileSync(path.join(__dirname, 'status', name)) };
}

/**
 * @param {{ view: () => { next: () => object | null } }} store
 * @param {{ every?: number, beat?: number, patience?: number }} [options] milliseconds
 */
function statusPage(store, { every = EVERY_MS, beat = BEAT_MS, patience = PATIENCE_MS } = {}) {
  const readers = new Set();
  let timer = null;

  function tick() {
    const now = performance.now();
    for (const reader of readers) {
      const { res, view, heard } = reader;
      if (res.writableLength > 0) {
        // It has not read the last event yet. It gets what is new in one go once it has; nothing piles up here.
        if (now - heard > patience) res.destroy();
        continue;
      }
      const news = view.next();
      if (news) res.write(`data: ${JSON.stringify(news)}\n\n`);
      else if (now - heard >= beat) res.write('event: beat\ndata: {}\n\n');
      else continue;
      reader.heard = now;
    }
  }

  function open(req, res) {
    res.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream; charset=utf-8' });
    if (req.method === 'HEAD') return res.end();
    const reader = { res, view: store.view(), heard: performance.now() };
    readers.add(reader);
    res.on('error', () => {}); // its 'close' follows
    res.on('close', () => {
      readers.delete(reader);
      if (readers.size > 0) return;
      clearInterval(timer);
      timer = null;
    });
    res.write(`retry: 1000\ndata: ${JSON.stringify(reader.view.next())}\n\n`);
    timer ??= setInterval(tick, every).unref();
  }

  return {
    path: PAGE,
    /** How many listen. */
    get readers() {
      return readers.size;
    },
    /**
     * Answers a request for the page; false if it is for something else.
     * @param {import('node:http').IncomingMessage} req
     * @param {import('node:http').ServerResponse} res
     */
    answer(req, res) {
      const target = req.url.replace(/^https?:\/\/[^/?]*/i, '').replace(/[?#].*$/s, '');
      const file = FILES.get(target);
      if (!file && target !== EVENTS) return false;
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        res.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end();
      } else if (file) {
        const { type, body } = file;
        res.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': body.length }).end(body);
      } else {
        open(req, res);
      }
      return true;
    },
  };
}

module.exports = { statusPage };
