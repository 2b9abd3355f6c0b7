'use strict';

/** The page's own code, fed by a store whose clock and numbers are made up: each state stands still to be looked at. */

const http = require('node:http');
const { Status } = require('../../examples/lib/status');
const { statusPage } = require('../../examples/lib/status-page');
const { listen } = require('../helpers');
const { closeAll, keep } = require('../streams');
const { live, open } = require('./browser');

afterEach(closeAll);

const MB = 1e6;
const client = (port) => `127.0.0.1:${port}`;
const failing = (code) => Object.assign(new Error(code), { code });

/** A transfer that began `ms` ago and has come so far. */
function runs(store, { path, port = 51_000, total = null, ms, ...facts }) {
  const now = store.clock.ms;
  store.clock.ms = now - ms;
  const transfer = store.begin({ path, client: client(port), total });
  store.clock.ms = now;
  store.progress(transfer, facts);
  return transfer;
}

/** One that is over. */
function ended(store, { error, ...what }) {
  store.end(runs(store, what), { error: error && failing(error), ms: what.ms });
}

const small = { path: '/index.html', port: 51_002, total: 4096, sent: 4096, method: 'sendfile', ms: 0.31 };
const video = { path: '/video/holiday.mp4', port: 51_004, total: 734 * MB, method: 'sendfile' };

/** What has happened in each state. */
const STATES = {
  empty() {},
  running(store) {
    ended(store, small);
    runs(store, { path: '/backup/2024-11.tar.zst', port: 51_010, ms: 12 });
    runs(store, { ...video, ms: 4200, sent: 312 * MB, waits: 87 });
    runs(store, {
      ...video,
      path: '/debian-12.iso',
      port: 51_006,
      total: 3900 * MB,
      ms: 61_000,
      sent: 3700 * MB,
      waits: 1204,
    });
  },
  finished(store) {
    ended(store, small);
    ended(store, { ...small, path: '/empty.txt', total: 0, sent: 0, ms: 0.2 });
    ended(store, { ...video, sent: 734 * MB, ms: 2300, waits: 12 });
    ended(store, {
      ...video,
      path: '/debian-12.iso',
      total: 3900 * MB,
      sent: 3900 * MB,
      ms: 4_210_000,
      waits: 20_321,
    });
    ended(store, {
      ...small,
      path: '/a/directory/of/reports/2024/with-a-name-that-nobody-would-type-but-some-programs-make_0123456789abcdef.csv',
      port: 51_008,
      total: 81_234,
      sent: 81_234,
      ms: 3.2,
    });
  },
  failed(store) {
    ended(store, { ...video, sent: 100 * MB, ms: 1800, waits: 4, error: 'ERR_STREAM_PREMATURE_CLOSE' });
    ended(store, { ...video, sent: 400 * MB, ms: 9000, waits: 4, error: 'ABORT_ERR' });
    ended(store, { ...video, path: '/on/a/bad/disk.img', sent: 64 * MB, ms: 700, error: 'EIO' });
    ended(store, {
      ...video,
      path: '/log/today.log',
      sent: 734 * MB * 0.9,
      ms: 900,
      error: 'ERR_SENDFILE_TRUNCATED',
    });
    ended(store, { path: '/gone.txt', port: 51_012, ms: 0.8, sent: 0, method: 'sendfile', error: 'EMFILE' });
  },
  copied(store) {
    ended(store, { ...small, path: '/<img src=x onerror=alert(1)>', method: 'copy', reason: 'EINVAL' });
    ended(store, { ...video, sent: 734 * MB, ms: 3800, method: 'copy', reason: 'RS_SENDFILE_DISABLE' });
    runs(store, {
      ...video,
      port: 51_014,
      sent: 200 * MB,
      ms: 1500,
      method: 'copy',
      reason: 'not a plain socket',
    });
  },
  many(store) {
    for (let i = 0; i < 1000; i++) {
      const sent = ((i * 37) % 100) * 7 * MB;
      runs(store, { ...video, port: 40_000 + i, sent, ms: 5000 + i, waits: i });
    }
    for (let i = 0; i < 2500; i++) ended(store, { ...small, ms: 0.2 + i / 1000 });
  },
};

/** The page of a store in which this has happened. */
async function show(state, look = {}) {
  const clock = { ms: 100_000_000 };
  const store = Object.assign(new Status({ now: () => clock.ms }), { clock });
  STATES[state](store);
  const page = statusPage(store);
  const server = keep(http.createServer((req, res) => page.answer(req, res) || res.writeHead(404).end()));
  const shown = await open(`http://127.0.0.1:${await listen(server)}${page.path}`, { ...look, still: true });
  await live(shown);
  return Object.assign(shown, { server, store });
}

/** Ends the server under a page that {@link show} has opened. */
async function lose(shown) {
  shown.server.close();
  shown.server.closeAllConnections();
  await shown.locator('#connection[data-state="lost"]').waitFor();
}

module.exports = { show, lose };
