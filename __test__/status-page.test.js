'use strict';

/** The status page over HTTP: its files, its stream of events, readers that do not read, and its place in `npm start`. */

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { Status } = require('../examples/lib/status');
const { statusPage } = require('../examples/lib/status-page');
const { listen, request, tmpPath, until } = require('./helpers');
const { npmStart } = require('./npm-start');
const { closeAll, keep } = require('./streams');
const { way } = require('./ways');

afterEach(closeAll);

/** A server with nothing but the page of this store, on a port or a unix socket. */
async function serve(store, options, where) {
  const page = statusPage(store, options);
  const responses = [];
  const server = keep(
    http.createServer((req, res) => {
      responses.push(res);
      if (!page.answer(req, res)) res.writeHead(404).end();
    }),
  );
  return { page, responses, server, address: await listen(server, where) };
}

/** What a reader hears: `next()` waits for an event, `heard` are all so far. */
async function events(port) {
  const req = keep(http.get({ host: '127.0.0.1', port, path: '/__sendfile/events', agent: false }));
  req.on('error', () => {});
  const [res] = await once(req, 'response');
  const heard = [];
  const waiting = parseEvents(res);
  const next = async () => {
    const { value } = await waiting.next();
    heard.push(value);
    return value;
  };
  return { req, res, heard, next };
}

/** The events of a body, one by one. */
async function* parseEvents(body) {
  let rest = '';
  for await (const chunk of body.setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n\n');
    rest = parts.pop();
    for (const text of parts) {
      const fields = Object.fromEntries(text.split('\n').map((line) => line.split(/: (.*)/s, 2)));
      yield { ...fields, data: JSON.parse(fields.data) };
    }
  }
}

const begin = (store, name = '/a') => store.begin({ path: name, client: '127.0.0.1:1', total: 100 });

describe('the page', () => {
  test.each([
    ['/__sendfile', 'text/html'],
    ['/__sendfile?x=1', 'text/html'],
    ['/__sendfile/page.css', 'text/css'],
    ['/__sendfile/page.js', 'text/javascript'],
    ['/__sendfile/icon.svg', 'image/svg+xml'],
  ])('%s is of this server alone, and nothing else may be loaded', async (target, type) => {
    const { address } = await serve(new Status());
    const { status, headers, body } = await request(address, { path: target });
    expect(status).toBe(200);
    expect(headers['content-type']).toBe(`${type}; charset=utf-8`);
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    expect(headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(body.length).toBeGreaterThan(100);
    // The name of SVG is no address: nobody fetches it.
    expect(body.toString().replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//);
  });

  test('answers HEAD with no body, and nothing but GET and HEAD', async () => {
    const { address, page } = await serve(new Status());
    for (const target of ['/__sendfile', '/__sendfile/events']) {
      const head = await request(address, { path: target, method: 'HEAD' });
      expect([head.status, head.body.length]).toEqual([200, 0]);
      const post = await request(address, { path: target, method: 'POST' });
      expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
    }
    expect(page.readers).toBe(0);
  });

  test.each(['/__sendfile/', '/__sendfile/other', '/__sendfilex', '/a/__sendfile', '/', '/__proto__'])(
    '%s is not of it',
    async (target) => {
      const { address } = await serve(new Status());
      expect((await request(address, { path: target })).status).toBe(404);
    },
  );
});

describe('a reader', () => {
  test('hears at once how things are, then what changes', async () => {
    const store = new Status();
    const first = begin(store);
    const { address } = await serve(store, { every: 5 });
    const { res, next } = await events(address);
    expect(res.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    const opening = await next();
    expect(opening.retry).toBe('1000');
    expect(opening.data).toMatchObject({ first: true, running: [{ id: first.id }], over: [] });
    store.end(first, { sent: 100 });
    expect((await next()).data).toMatchObject({ first: false, gone: [first.id], over: [{ state: 'done' }] });
  });

  test('hears about five times a second, however much happens', async () => {
    const store = new Status();
    const transfer = begin(store);
    const { address } = await serve(store);
    const { heard, next } = await events(address);
    const began = performance.now();
    let sent = 0;
    const busy = setInterval(() => store.progress(transfer, { sent: sent++ }), 1);
    while (heard.length < 5) await next();
    clearInterval(busy);
    // The first comes at once; a timer may be late, and then the next is early.
    expect(performance.now() - began).toBeGreaterThan(3 * 190);
    expect(sent).toBeGreaterThan(10 * heard.length);
  });

  test('hears that the server is there while nothing happens', async () => {
    const { address } = await serve(new Status(), { every: 5, beat: 20 });
    const { next } = await events(address);
    await next();
    expect(await next()).toEqual({ event: 'beat', data: {} });
  });

  test('that has left is forgotten, and nothing ticks for nobody', async () => {
    let asked = 0;
    const store = new Status();
    const counting = {
      view() {
        asked += 1;
        return store.view();
      },
    };
    const { page, address } = await serve(counting, { every: 5 });
    const readers = await Promise.all([events(address), events(address)]);
    expect([page.readers, asked]).toEqual([2, 2]);
    for (const { req } of readers) req.destroy();
    await until(() => page.readers === 0, 'both to be forgotten');
  });
});

describe('a reader that does not read', () => {
  /** A hundred new transfers with long paths. */
  function happen(store, round) {
    for (let i = 0; i < store.kept; i++) {
      store.end(begin(store, `/${round}-${i}-`.padEnd(256, 'x')), { sent: 100 });
    }
  }

  /** One that has sent its request over a unix socket, whose buffers are small, and then sits there. */
  async function sitting(options) {
    const store = new Status();
    const served = await serve(store, { every: 1, ...options }, { path: tmpPath('socket') });
    const socket = keep(net.connect(served.address));
    socket.on('error', () => {});
    socket.pause();
    socket.write('GET /__sendfile/events HTTP/1.1\r\nHost: test\r\n\r\n');
    await until(() => served.page.readers === 1, 'the reader');
    return { store, socket, ...served, res: served.responses[0] };
  }

  test('has at most one event kept for it, and gets the rest in one once it reads', async () => {
    const { store, socket, res } = await sitting();
    let most = 0;
    let round = 0;
    await until(() => {
      happen(store, round++);
      most = Math.max(most, res.writableLength);
      return round === 1000;
    }, '1,000 rounds');
    const one = JSON.stringify(store.view().next()).length;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(1.5 * one);
    // It reads again, and comes to know the last of all.
    let last;
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      text = (text + chunk).slice(-200_000);
      last = /.*"transfers":(\d+)/s.exec(text)?.[1] ?? last;
    });
    socket.resume();
    await until(() => Number(last) === 1000 * store.kept, 'the last event');
  });

  test('is dropped in the end', async () => {
    const { store, res, page } = await sitting({ patience: 50 });
    let round = 0;
    const closed = once(res, 'close');
    await until(() => {
      if (res.writableLength === 0) happen(store, round++);
      return page.readers === 0;
    }, 'it to be dropped');
    await closed;
    expect(res.writableFinished).toBe(false);
  });

  test('keeps no other from hearing', async () => {
    const { store, res, server } = await sitting();
    let round = 0;
    await until(() => {
      happen(store, round++);
      return res.writableLength > 0;
    }, 'its socket to be full');
    const req = keep(http.get({ socketPath: server.address(), path: '/__sendfile/events', agent: false }));
    req.on('error', () => {});
    const [other] = await once(req, 'response');
    const heard = parseEvents(other);
    await heard.next();
    begin(store, '/new');
    expect((await heard.next()).value.data.running).toMatchObject([{ path: '/new' }]);
  });
});

describe('npm start', () => {
  let server;
  const root = tmpPath('root');
  beforeAll(async () => {
    fs.mkdirSync(path.join(root, 'sub'), { recursive: true });
    fs.writeFileSync(path.join(root, 'file.txt'), 'a file');
    fs.writeFileSync(path.join(root, 'sub', '__sendfile'), 'not hidden');
    server = await npmStart(root);
  });
  afterAll(() => server?.stop());

  test('says where it serves, and where the page is', () => {
    const { port, lines } = server;
    const said = lines.filter((line) => line.includes('http://'));
    expect(said).toEqual([
      `serving ${fs.realpathSync(root)} on http://127.0.0.1:${port}/ (Ctrl-C stops it)`,
      `its transfers are shown on http://127.0.0.1:${port}/__sendfile`,
    ]);
  });

  test('serves files as before, also one of the name of the page in a subdirectory', async () => {
    const get = (target, options) => request(server.port, { path: target, ...options });
    expect((await get('/file.txt')).body.toString()).toBe('a file');
    expect((await get('/sub/__sendfile')).body.toString()).toBe('not hidden');
    expect((await get('/')).body.toString()).toContain('file.txt');
    const part = await get('/file.txt', { headers: { Range: 'bytes=2-3' } });
    expect([part.status, part.headers['content-range'], part.body.toString()]).toEqual([
      206,
      'bytes 2-3/6',
      'fi',
    ]);
    expect((await get('/file.txt', { headers: { Range: 'bytes=9-' } })).status).toBe(416);
    expect((await get('/file.txt', { method: 'HEAD' })).headers['content-length']).toBe('6');
    expect((await get('/none')).status).toBe(404);
    expect((await get('/file.txt', { method: 'POST' })).status).toBe(405);
    await server.line(/^206 GET \/file\.txt 2 B .* (sendfile|copy)$/);
    await server.line(/^404 GET \/none /);
    expect(server.lines.filter((line) => / \/__sendfile/.test(line))).toEqual([]);
  });

  test('tells of each transfer: path, client, bytes, method, end', async () => {
    const { next } = await events(server.port);
    const before = (await next()).data.totals;
    await request(server.port, { path: '/file.txt?q' });
    await request(server.port, { path: '/file.txt', method: 'HEAD' });
    await request(server.port, { path: '/file.txt', headers: { Range: 'bytes=1-4' } });
    const over = [];
    while (over.length < 2) over.push(...(await next()).data.over.reverse());
    const method = way === 'disabled' ? 'copy' : expect.stringMatching(/^(sendfile|copy)$/);
    const common = {
      path: '/file.txt',
      state: 'done',
      code: null,
      method,
      client: expect.stringMatching(/^127.0.0.1:\d+$/),
    };
    expect(over).toMatchObject([
      { ...common, sent: 6, total: 6 },
      { ...common, sent: 4, total: 4 },
    ]);
    if (way === 'disabled') expect(over[0].reason).toBe('RS_SENDFILE_DISABLE');
    const { data } = await events(server.port).then(({ next: first }) => first());
    expect(data.totals).toMatchObject({
      transfers: before.transfers + 2,
      bytes: before.bytes + 10,
      running: 0,
    });
  });

  test('ends at once, though somebody looks at the page', async () => {
    const { res, next } = await events(server.port);
    await next();
    const closed = new Promise((resolve) => res.once('close', resolve));
    res.on('error', () => {});
    expect(await server.stop()).toBe(0);
    await closed;
  });
});
