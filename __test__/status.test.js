'use strict';

/** What examples/lib/status.js tells of transfers: to one who looks now and then, only what is new since. */

const { Status } = require('../examples/lib/status');
const { shownPath } = require('../examples/lib/status-feed');

/** A store whose clock stands where it is put. */
function store(options) {
  const clock = { ms: 0 };
  return Object.assign(new Status({ now: () => clock.ms, ...options }), { clock });
}

const begin = (status, path = '/a', total = 100) => status.begin({ path, client: '127.0.0.1:1', total });
const paths = (transfers) => transfers.map(({ path }) => path);
const failing = (code) => Object.assign(new Error(code), { code });

describe('a transfer', () => {
  test('is running from its beginning on, with its time so far', () => {
    const status = store();
    begin(status);
    status.clock.ms = 250;
    expect(status.view().next().running).toEqual([
      {
        ...{ id: 1, path: '/a', client: '127.0.0.1:1', state: 'running', code: null, sent: 0, total: 100 },
        ...{ method: null, reason: null, waits: 0, ms: 250 },
      },
    ]);
  });

  test('grows with its progress', () => {
    const status = store();
    const view = status.view();
    const transfer = begin(status, '/a', null);
    status.progress(transfer, { sent: 10, total: 90, method: 'sendfile', waits: 3 });
    expect(view.next().running).toMatchObject([{ sent: 10, total: 90, method: 'sendfile', waits: 3 }]);
    status.progress(transfer, { sent: 60 });
    expect(view.next().running).toMatchObject([{ sent: 60, total: 90, method: 'sendfile', waits: 3 }]);
  });

  test.each([
    ['whole', undefined, 'done', null],
    ['because the client left', failing('ERR_STREAM_PREMATURE_CLOSE'), 'left', 'ERR_STREAM_PREMATURE_CLOSE'],
    ['by a signal', failing('ABORT_ERR'), 'aborted', 'ABORT_ERR'],
    ['with an error', failing('EIO'), 'failed', 'EIO'],
    ['with an error without a code', new RangeError('odd'), 'failed', 'RangeError'],
  ])('ends %s', (_, error, state, code) => {
    const status = store();
    const transfer = begin(status);
    status.clock.ms = 40;
    status.end(transfer, { sent: 70, method: 'copy', reason: 'TLS', error });
    const { running, over } = status.view().next();
    expect(running).toEqual([]);
    expect(over).toMatchObject([{ state, code, sent: 70, method: 'copy', reason: 'TLS', ms: 40 }]);
  });

  test('that is over changes no more', () => {
    const status = store();
    const transfer = begin(status);
    status.end(transfer, { sent: 100 });
    const { version, totals } = status;
    status.progress(transfer, { sent: 50 });
    status.end(transfer, { sent: 50, error: failing('EIO') });
    expect({ version: status.version, totals: status.totals }).toEqual({ version, totals });
  });
});

test('the totals count each byte once, and each end as what it is', () => {
  const status = store();
  const all = Array.from({ length: 6 }, () => begin(status));
  for (const transfer of all) status.progress(transfer, { sent: 30 });
  status.progress(all[0], { sent: 50 });
  status.end(all[1], { sent: 100 });
  status.end(all[2], { sent: 30, error: failing('EIO') });
  status.end(all[3], { sent: 31, error: failing('ERR_STREAM_PREMATURE_CLOSE') });
  status.end(all[4], { sent: 30, error: failing('ABORT_ERR') });
  expect(status.totals).toEqual({
    ...{ transfers: 6, bytes: 50 + 100 + 30 + 31 + 30 + 30, running: 2 },
    ...{ errors: 1, left: 1, aborted: 1 },
  });
});

describe('a view', () => {
  test('says at first that there is nothing', () => {
    const event = store().view().next();
    expect(event).toMatchObject({ first: true, running: [], over: [], more: 0, totals: { transfers: 0 } });
  });

  test('has nothing to say as long as nothing changes', () => {
    const status = store();
    const view = status.view();
    view.next();
    expect(view.next()).toBeNull();
    const transfer = begin(status);
    expect(view.next()).not.toBeNull();
    status.clock.ms = 1000;
    expect(view.next()).toBeNull();
    status.end(transfer, {});
    expect(view.next()).toMatchObject({ first: false, gone: [transfer.id] });
    expect(view.next()).toBeNull();
  });

  test('tells only what has changed', () => {
    const status = store();
    const [, b, c] = ['/a', '/b', '/c'].map((path) => begin(status, path));
    const view = status.view();
    expect(paths(view.next().running)).toEqual(['/c', '/b', '/a']);
    status.progress(b, { sent: 1 });
    status.end(c, { sent: 100 });
    const event = view.next();
    expect([paths(event.running), event.gone, paths(event.over)]).toEqual([['/b'], [c.id], ['/c']]);
  });

  test('that was not asked for long tells all of it in one go, and no more than is shown', () => {
    const status = store({ shown: 5, kept: 10 });
    const view = status.view();
    view.next();
    for (let i = 0; i < 1000; i++) {
      const transfer = begin(status, `/${i}`);
      status.progress(transfer, { sent: 1 });
      if (i % 2) status.end(transfer, { sent: 100 });
    }
    const event = view.next();
    expect(paths(event.running)).toEqual(['/998', '/996', '/994', '/992', '/990']);
    expect(event.more).toBe(495);
    expect(paths(event.over).slice(0, 2)).toEqual(['/999', '/997']);
    expect(event.over.length).toBe(10);
  });

  test('is its own: another has seen nothing of it', () => {
    const status = store();
    const [one, other] = [status.view(), status.view()];
    begin(status);
    expect(one.next().running.length).toBe(1);
    expect(other.next().running.length).toBe(1);
    expect([one.next(), other.next()]).toEqual([null, null]);
  });

  test('shows the newest, and an older one again once there is room', () => {
    const status = store({ shown: 2 });
    const view = status.view();
    const [a, b, c] = ['/a', '/b', '/c'].map((path) => begin(status, path));
    let event = view.next();
    expect([paths(event.running), event.more]).toEqual([['/c', '/b'], 1]);
    status.end(c, {});
    event = view.next();
    // It has not changed, but this reader has never seen it.
    expect([paths(event.running), event.gone, event.more]).toEqual([['/a'], [c.id], 0]);
    begin(status, '/d');
    event = view.next();
    expect([paths(event.running), event.gone, event.more]).toEqual([['/d'], [a.id], 1]);
    status.end(b, {});
    expect(paths(view.next().running)).toEqual(['/a']);
  });
});

test('what is kept is bounded, however many there were', () => {
  const status = store({ kept: 100 });
  for (let i = 0; i < 10_000; i++) status.end(begin(status, `/${i}`), { sent: 1 });
  expect(status.over.length).toBe(100);
  expect(status.over[0].path).toBe('/9999');
  expect(status.running.size).toBe(0);
  expect(status.totals).toMatchObject({ transfers: 10_000, bytes: 10_000 });
});

describe('a path is shown', () => {
  test.each([
    ['decoded', '/%3Cimg%20src=x%20onerror=alert(1)%3E?q', '/<img src=x onerror=alert(1)>'],
    ['as it came, if it cannot be decoded', '/100%', '/100%'],
    ['without what would turn the text around it', '/a%E2%80%AEb%00%1B%0A', '/a\ufffdb\ufffd\ufffd\ufffd'],
    ['in other scripts', '/%E6%96%87%F0%9F%8E%9E', '/文🎞'],
  ])('%s', (_, url, text) => {
    expect(shownPath(url)).toBe(text);
  });

  test('cut, between two signs', () => {
    const text = shownPath(`/${encodeURIComponent('🎞'.repeat(3000))}`);
    expect(Array.from(text).length).toBe(256);
    expect(text).toMatch(/^\/(🎞)+…$/u);
  });
});
