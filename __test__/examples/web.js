'use strict';

/** What every example that speaks HTTP does, as tests of one of them. */

const fs = require('node:fs');
const path = require('node:path');
const { begin, get, makeSite, openFiles, startExample, tryCommand } = require('./example');
const { root, until } = require('../helpers');
const { expectBytes } = require('../streams');

/**
 * @param {string} name
 * @param {object} how
 * @param {string[]} how.routes where files are found: `/`, `/transfer/`
 * @param {string[]} [how.ranged] those of them that answer ranges
 * @returns {() => { example: any, site: ReturnType<typeof makeSite> }} for tests of its own
 */
function webTests(name, { routes, ranged = routes }) {
  let example;
  let site;

  beforeAll(async () => {
    site = makeSite();
    example = await startExample(name, [site.directory]);
  });

  test('the line that it prints works', async () => {
    const command = example.command ?? `curl http://127.0.0.1:${example.port}/README.md`;
    const file = fs.readFileSync(path.join(site.directory, path.basename(command)));
    expectBytes(await tryCommand(command), file);
  });

  describe.each(routes.map((route) => [route]))('%s', (route) => {
    test('a file, whole, with its length and no more for HEAD', async () => {
      const { status, headers, body } = await get(example.port, `${route}sub/inner.txt`);
      expect([status, headers['content-length'], headers['content-type']]).toEqual([
        200,
        '5000',
        expect.stringContaining('text/plain'),
      ]);
      expectBytes(body, site.inner);
      const head = await get(example.port, `${route}sub/inner.txt`, {}, 'HEAD');
      expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5000', 0]);
    });

    test.each([
      ['a file that is not there', 'missing', [404]],
      ['a hidden file', '.hidden', [404]],
      ['a path that leads out', '../secret', [400, 403, 404]],
      ['an encoded path that leads out', '..%2f..%2f..%2f..%2f..%2fetc%2fpasswd', [400, 403, 404]],
      ['a link that leads out', 'link.txt', [403, 404]],
      ['a directory whose index.html leads out', 'trap/', [200, 403, 404]],
      ['a FIFO', 'fifo', [403, 404]],
      ['a malformed name', '%zz', [400]],
      ['a name with a zero in it', 'a%00b', [400, 403, 404]],
    ])('%s is refused', async (_what, target, statuses) => {
      const { status, body } = await get(example.port, route + target);
      expect(statuses).toContain(status);
      expect(body.toString()).not.toMatch(/^secret$|root:|hidden$/);
      // No path of the server's own in what it tells.
      expect(body.toString()).not.toContain(site.directory);
      expect(body.toString()).not.toContain(root);
    });

    test('clients that reset end neither it nor others', async () => {
      for (const bytes of [1, 100_000, 1_000_000]) {
        const { status, socket } = await begin(example.port, `${route}big.bin`, bytes);
        expect(status).toBe('HTTP/1.1 200 OK');
        socket.resetAndDestroy();
      }
      const { status, body } = await get(example.port, `${route}README.md`);
      expect(status).toBe(200);
      expectBytes(body, site.readme);
      expect(example.child.exitCode).toBe(null);
      await until(() => openFiles(example.child.pid, site.directory).length === 0, 'its files to be closed');
    });
  });

  describe.each(ranged.map((route) => [route]))('ranges by %s', (route) => {
    test('a part of a file', async () => {
      const { status, headers, body } = await get(example.port, `${route}README.md`, {
        Range: 'bytes=1000-200999',
      });
      expect([status, headers['content-range']]).toEqual([206, 'bytes 1000-200999/300000']);
      expectBytes(body, site.readme.subarray(1000, 201_000));
    });

    test('the end of a file', async () => {
      const { status, body } = await get(example.port, `${route}README.md`, { Range: 'bytes=-1000' });
      expect(status).toBe(206);
      expectBytes(body, site.readme.subarray(-1000));
    });

    test('a range that the file does not have', async () => {
      const { status, headers } = await get(example.port, `${route}README.md`, { Range: 'bytes=300000-' });
      expect([status, headers['content-range']]).toEqual([416, 'bytes */300000']);
    });

    test('If-Range with another state of the file gets all of it', async () => {
      const { status, body } = await get(example.port, `${route}README.md`, {
        Range: 'bytes=5-9',
        'If-Range': '"another"',
      });
      expect(status).toBe(200);
      expectBytes(body, site.readme);
    });
  });

  return () => ({ example, site });
}

/** The last test of a file: it ends as it should, and has had nothing to complain of. */
function endsCleanly(current, { registered = false } = {}) {
  test('ends by SIGTERM with code 0, in the middle of a download too, and has printed no error', async () => {
    const { example } = current();
    const { socket } = await begin(example.port, '/big.bin');
    await get(example.port, '/README.md');
    expect(await example.stop()).toEqual({ code: 0, signal: null });
    socket.destroy();
    expect(example.output.stderr).toBe('');
    expect(fs.readdirSync(example.temp)).toEqual([]);
    if (registered)
      expect(example.output.stdout).toMatch(/^register has sent [1-9]\d* files, [1-9]\d+ bytes$/m);
  });
}

module.exports = { endsCleanly, webTests };
