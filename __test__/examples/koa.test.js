'use strict';

const { get } = require('./example');
const { endsCleanly, webTests } = require('./web');

const current = webTests('koa', { routes: ['/', '/transfer/', '/send/'], ranged: ['/transfer/'] });

test('what the handler throws is answered by Koa', async () => {
  const { status, headers, body } = await get(current().example.port, '/transfer/README.md', {}, 'POST');
  expect([status, headers.allow, body.toString()]).toEqual([405, 'GET, HEAD', 'Method Not Allowed']);
});

endsCleanly(current, { registered: true });
