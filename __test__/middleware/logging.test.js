'use strict';

/** What loggers write of a response, and that its end is told once. */

const { Writable } = require('node:stream');
const morgan = require('morgan');
const onFinished = require('on-finished');
const pinoHttp = require('pino-http');
const { until } = require('../helpers');
const { connect } = require('../http-client');
const { apps, describeApps, files } = require('./apps');
const { both, over, quiet, serve } = require('./compare');

const FORMAT = ':method :url :status :res[content-length] :req[range]';

/** Each line without what is different each time. */
function line(text) {
  const { level, msg, req, res, err } = JSON.parse(text);
  return JSON.stringify([
    level,
    msg,
    req.method,
    req.url,
    res.statusCode,
    res.headers['content-length'],
    err?.code,
  ]);
}

/** Before the program hears of a request. */
const loggers = {
  morgan: (note) => morgan(FORMAT, { stream: { write: (text) => note(`morgan: ${text.trim()}`) } }),
  'pino-http': (note) => {
    const stream = new Writable({
      write(text, _encoding, done) {
        note(`pino: ${line(text)}`);
        done();
      },
    });
    return pinoHttp({ genReqId: () => 1 }, stream);
  },
  'on-finished': (note) => (req, res, next) => {
    onFinished(res, (error) => note(`on-finished of the response: ${error?.code}`));
    onFinished(req, (error) => note(`on-finished of the request: ${error?.code}`));
    next();
  },
};

/** Whole, a part, none, refused, missing, and one whose client leaves. */
async function scenario({ make }, logger, way) {
  const told = [];
  const log = loggers[logger]((what) => told.push(what));
  const state = await serve(make, { before: (req, res) => new Promise((next) => log(req, res, next)) });
  await state.get(`/${way}/large.bin`);
  await state.get(`/${way}/small.bin`, { headers: ['Range: bytes=5-9'] });
  await state.get(`/${way}/small.bin`, { method: 'HEAD' });
  await state.get(`/${way}/small.bin`, { headers: ['Range: bytes=99999-'] });
  await state.get(`/${way}/empty.bin`);
  const client = connect(state.port);
  client.send(`/${way}/huge.bin`);
  await client.takeUntil('\r\n\r\n');
  await until(() => state.responses.at(-1).socket.writableLength > 0, 'a full socket');
  client.socket.resetAndDestroy();
  await over(state, 6);
  await quiet(state);
  return { told, bytes: state.responses.map((res) => res.getHeader?.('content-length')) };
}

const ways = { 'Express 5': 'sendFile', 'Express 4': 'sendFile', Koa: 'koa-static', Fastify: 'sendFile' };

describeApps(Object.keys(ways), (app, name) => {
  test.each(Object.keys(loggers))('%s', async (logger) => {
    const { plain, ours, counts } = await both(() => scenario(app, logger, ways[name]));
    expect(ours).toEqual(plain);
    expect(ours.told).toHaveLength(logger === 'on-finished' ? 12 : 6);
    expect(ours.told.join('\n')).toContain(logger === 'on-finished' ? '' : String(files['large.bin'].length));
    expect(counts).toMatchObject({ failed: 1 });
  });
});

test('every program is listed', () => {
  expect(Object.keys(apps)).toEqual(expect.arrayContaining(Object.keys(ways)));
});
