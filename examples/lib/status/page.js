'use strict';

/**
 * Shows what the server tells. Every text of it (paths, clients, codes) is set as text, never as HTML: it comes from
 * strangers.
 */

/** The server says at least every 10 s that it is there. */
const SILENCE_MS = 25_000;
const RETRY_MS = 2000;

const STATES = { running: 'Running', done: 'Done', left: 'Client left', aborted: 'Aborted' };

const byId = (id) => document.getElementById(id);

/** By id: a transfer, its row, and when it was told of. Those that are over stand in the order of their ends. */
const running = new Map();
const over = new Map();

function onNews({ first, totals, running: changed, gone, more, over: ended, kept }) {
  if (first) {
    clear(running);
    clear(over);
  }
  for (const id of gone) remove(running, id);
  // The newest come first, so the oldest is put in before them.
  for (const transfer of changed.toReversed()) put(running, byId('running'), transfer);
  for (const transfer of ended.toReversed()) put(over, byId('over'), transfer);
  for (const id of [...over.keys()].slice(0, -kept)) remove(over, id);

  showTotals(totals);
  byId('none').hidden = totals.transfers > 0;
  byId('running').hidden = running.size === 0;
  byId('over').hidden = over.size === 0;
  showMore(byId('running'), more, `and ${count(more)} more, which began earlier`);
  const earlier = totals.transfers - totals.running - over.size;
  showMore(byId('over'), earlier, `and ${count(earlier)} more, which ended earlier`);
}

function clear(rows) {
  for (const id of rows.keys()) remove(rows, id);
}

function remove(rows, id) {
  rows.get(id)?.row.remove();
  rows.delete(id);
}

function put(rows, section, transfer) {
  const row = rows.get(transfer.id)?.row ?? insert(section.querySelector('ol'), transfer.id);
  rows.set(transfer.id, { transfer, row, at: performance.now() });
  show(row, transfer, transfer.ms);
}

/** The newest first: those that run by their beginning, those that are over by the order in which they come. */
function insert(list, id) {
  const row = byId('transfer').content.firstElementChild.cloneNode(true);
  row.dataset.id = id;
  const isRunning = list.parentElement.id === 'running';
  const next = isRunning
    ? [...list.children].find((other) => Number(other.dataset.id) < id)
    : list.firstChild;
  list.insertBefore(row, next ?? null);
  return row;
}

function show(row, transfer, ms) {
  const { path, client, state, code, sent, total, method, reason, waits } = transfer;
  row.dataset.state = state;
  row.dataset.method = method ?? '';
  const amount = total === null ? bytes(sent) : `${bytes(sent)} of ${bytes(total)}`;
  const percent = total > 0 && state === 'running' ? ` · ${Math.floor((sent / total) * 100)} %` : '';
  set(row, {
    path,
    client,
    amount: amount + percent,
    method: method ?? '–',
    reason: reason ?? '',
    speed: sent > 0 && ms > 0 ? speed(sent / ms / 1000) : '–',
    waits: method === null ? '–' : count(waits),
    time: time(ms),
    state: STATES[state] ?? code,
  });
  const bar = row.querySelector('progress');
  bar.setAttribute('aria-label', `Sent of ${path}`);
  bar.setAttribute('aria-valuetext', amount);
  if (total === null && state === 'running') return bar.removeAttribute('value');
  // An empty file is sent as a whole; a bar of nothing is none.
  const whole = total || 1;
  bar.max = whole;
  bar.value = state === 'done' ? whole : Math.min(sent, whole);
}

function set(row, texts) {
  for (const [name, text] of Object.entries(texts)) {
    const place = row.querySelector(`[data-is="${name}"]`);
    if (place.textContent !== text) place.textContent = text;
  }
}

function showTotals({ transfers, bytes: sent, running: now, errors, left, aborted }) {
  const early = [];
  if (left > 0) early.push(`${count(left)} ${left === 1 ? 'client' : 'clients'} left`);
  if (aborted > 0) early.push(`${count(aborted)} aborted`);
  const texts = {
    transfers: count(transfers),
    bytes: bytes(sent),
    running: count(now),
    errors: count(errors),
    early: early.join(', '),
  };
  for (const [name, text] of Object.entries(texts)) {
    document.querySelector(`[data-total="${name}"]`).textContent = text;
  }
}

function showMore(section, number, text) {
  const place = section.querySelector('.more');
  place.hidden = number <= 0;
  place.textContent = number > 0 ? text : '';
}

const numbers = new Intl.NumberFormat('en');
const count = (value) => numbers.format(value);

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

function bytes(value) {
  let unit = 0;
  let rest = value;
  // 999,950 is 1.0 MB, not 1000.0 kB.
  while (rest >= (unit === 0 ? 1000 : 999.95) && unit < UNITS.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? rest : digits(rest)} ${UNITS[unit]}`;
}

const digits = (value) => value.toFixed(value < 99.95 ? 1 : 0);

const speed = (perSecond) => (perSecond < 0.05 ? '< 0.1 MB/s' : `${digits(perSecond)} MB/s`);

function time(ms) {
  if (ms < 1) return '< 1 ms';
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h} h ${m} min` : `${m} min ${s} s`;
}

/** A transfer that stands still is no news, but its time goes on. */
setInterval(() => {
  if (document.documentElement.dataset.connection !== 'live') return;
  const now = performance.now();
  for (const { row, transfer, at } of running.values()) show(row, transfer, transfer.ms + now - at);
}, 1000);

let source = null;
let silence;

function connect() {
  source?.close();
  source = new EventSource('/__sendfile/events');
  source.onmessage = ({ data }) => {
    alive();
    onNews(JSON.parse(data));
  };
  source.addEventListener('beat', alive);
  source.onerror = () => {
    say('lost');
    // It tries again by itself, unless it has given up.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
}

function alive() {
  say('live');
  clearTimeout(silence);
  silence = setTimeout(() => {
    say('lost');
    connect();
  }, SILENCE_MS);
}

const TEXTS = { live: 'Live', lost: 'Connection lost' };

/** Only a change is said: whoever listens to the page must not hear the same over and over. */
function say(state) {
  if (document.documentElement.dataset.connection === state) return;
  document.documentElement.dataset.connection = state;
  byId('connection').dataset.state = state;
  byId('connection').textContent = TEXTS[state];
  byId('lost').hidden = state !== 'lost';
}

connect();
