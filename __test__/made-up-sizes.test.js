'use strict';

/** Files whose size the kernel makes up: 0 in /proc, a page in /sys. What they hold is sent, by path and by descriptor. */

const fs = require('node:fs');
const { transfer } = require('..');
const { connect, httpServer } = require('./http-client');
const { exchange, hooked } = require('./piped');

// Only Linux has both.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** Each of these is there on nearly every machine; one of /sys is enough. */
const files = [
  '/proc/version',
  '/sys/kernel/mm/transparent_hugepage/enabled',
  '/sys/devices/system/cpu/online',
].filter(fs.existsSync);

onLinux('a file that says nothing of its size', () => {
  test.each(files)('%s', async (file) => {
    const content = fs.readFileSync(file);
    const givers = {
      '/path': () => file,
      '/fd': () => fs.openSync(file),
    };
    const { port } = await httpServer(async (req, res) => {
      const given = givers[req.url]();
      await transfer(res, given);
      if (typeof given === 'number') fs.closeSync(given);
      res.end();
    });
    const client = connect(port);
    for (const way of Object.keys(givers)) {
      client.send(way);
      const { body, headers } = await client.response();
      expect({ way, body: body.toString() }).toEqual({ way, body: content.toString() });
      expect(headers['content-length']).toBe(undefined);
    }
  });

  test.each(files)('%s, as a stream under register, is left to Node', async (file) => {
    const answer = (res, watched) => watched(fs.createReadStream(file)).pipe(res);
    const { result, counts } = await hooked(() => exchange(answer));
    expect(result.response.body.equals(fs.readFileSync(file))).toBe(true);
    expect(result.response.again).toBe('again');
    expect(counts).toMatchObject({ taken: 0, left: { unsized: 1 } });
  });
});
