'use strict';

const os = require('node:os');
const { until } = require('../helpers');
const { expectBytes } = require('../streams');
const { endAll, get, isAlive, makeSite, startExample } = require('./example');
const { endsCleanly, webTests } = require('./web');

const current = webTests('cluster', { routes: ['/'] });
endsCleanly(current);

describe('its workers', () => {
  const site = makeSite();
  afterEach(endAll);

  /** The pid of the worker that has answered. */
  async function workerOf({ port }) {
    const { headers, body } = await get(port, '/README.md');
    expectBytes(body, site.readme);
    return Number(headers.worker);
  }

  const ended = ({ output }) => output.stderr.match(/^worker \d+ has ended: /gm)?.length ?? 0;

  test('are as many as cores, and end with it', async () => {
    const example = await startExample('cluster', [site.directory]);
    const workers = new Set();
    await until(async () => workers.add(await workerOf(example)).size === os.availableParallelism(), 'them');
    expect(await example.stop()).toEqual({ code: 0, signal: null });
    expect([...workers].filter(isAlive)).toEqual([]);
    expect(example.output.stderr).toBe('');
  });

  test('are replaced when they die; if they do so again and again it gives up', async () => {
    const example = await startExample('cluster', [site.directory]);
    const workers = new Set();
    for (let deaths = 1; deaths <= 11; deaths++) {
      // Between the death of the last one and the birth of the next nobody listens.
      let worker;
      await until(async () => {
        worker = await workerOf(example).catch((error) =>
          expect(error.code).toMatch(/^ECONN(REFUSED|RESET)$/),
        );
        return worker;
      }, 'a worker');
      workers.add(worker);
      process.kill(worker, 'SIGKILL');
      await until(() => ended(example) === deaths, 'the primary to notice');
      expect(example.output.stderr).toContain(`worker ${worker} has ended: SIGKILL\n`);
    }
    expect(await example.ended()).toEqual({ code: 1, signal: null });
    expect(workers.size).toBe(11);
    expect(example.output.stderr).toMatch(/\ntoo many in a minute: giving up\n$/);
    expect([...workers].filter(isAlive)).toEqual([]);
  });
});
