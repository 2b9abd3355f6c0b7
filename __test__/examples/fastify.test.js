'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { root } = require('../helpers');
const { get } = require('./example');
const { endsCleanly, webTests } = require('./web');

const NEEDED = 20;
const major = Number.parseInt(process.versions.node, 10);

if (major < NEEDED) {
  const reason = `fastify 5 needs Node ${NEEDED}; this is ${process.versions.node}`;
  process.stderr.write(`left out: the example fastify: ${reason}\n`);
  describe.skip(`the example (${reason})`, () => test('runs', () => {}));

  test('it says what it needs', () => {
    const script = path.join(root, 'scripts', 'example.js');
    const { status, stderr } = spawnSync(process.execPath, [script, 'fastify', '--port', '0']);
    expect([status, stderr.toString()]).toEqual([
      1,
      `fastify needs Node ${NEEDED} or newer; this is ${process.versions.node}.\n`,
    ]);
  });
} else {
  const current = webTests('fastify', {
    routes: ['/', '/transfer/', '/stream/'],
    ranged: ['/', '/transfer/'],
  });

  test('what goes wrong before the response is hijacked is answered by Fastify', async () => {
    const { status, headers, body } = await get(current().example.port, '/transfer/missing');
    expect([status, headers['content-type']]).toEqual([404, 'application/json; charset=utf-8']);
    expect(JSON.parse(body)).toMatchObject({ statusCode: 404, error: 'Not Found' });
  });

  endsCleanly(current, { registered: true });
}
