'use strict';

/** What holds in an installation without a binary: everything but the call. */

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const { pattern, runInChild, tmpFile } = require('./helpers');
const { disguised, tree } = require('./trees');

const bytes = pattern(300_000, 7);
const file = tmpFile(bytes);
const empty = tmpFile('');
const sha1 = (text) => createHash('sha1').update(text).digest('hex');
const hash = sha1(bytes);

/** As on Windows, where there never is a binary; and where it is missing. */
describe.each([
  ['where it is missing', undefined],
  ['on Windows', { platform: 'win32' }],
])('%s', (_, looks) => {
  const place = tree();

  /** Runs a program in that installation, and gives what it prints. */
  async function run(text) {
    const { code, stdout, stderr } = await runInChild(
      `const s = require(${JSON.stringify(place)});
       const { createHash } = require('node:crypto');
       const http = require('node:http'), net = require('node:net'), fs = require('node:fs');
       const { once } = require('node:events');
       const file = ${JSON.stringify(file)};
       const hashed = async (stream) => {
         const sum = createHash('sha1');
         for await (const chunk of stream) sum.update(chunk);
         return sum.digest('hex');
       };
       const served = async (handler) => {
         const server = http.createServer(handler).listen(0, '127.0.0.1');
         await once(server, 'listening');
         const req = http.get({ host: '127.0.0.1', port: server.address().port, agent: false });
         const [res] = await once(req, 'response');
         const sum = await hashed(res);
         server.close();
         return [sum, res.headers['content-length']];
       };
       (async () => { ${text} })().then((all) => console.log(JSON.stringify(all)));`,
      {
        args: looks ? ['-r', disguised(looks)] : [],
        env: { NAPI_RS_NATIVE_LIBRARY_PATH: '', RS_SENDFILE_DISABLE: '', NODE_OPTIONS: '' },
      },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  }

  test('the call and the wait are ENOSYS', async () => {
    const answer = await run(`
      const input = fs.openSync(file, 'r');
      const failures = [];
      try { s.sendfileSync(1, input, 0, 10); } catch (error) { failures.push(error); }
      for (const promise of [s.sendfile(1, input, 0, 10), s.waitWritable(1)])
        await promise.catch((error) => failures.push(error));
      return [s.support.available, ...failures.map(({ code, errno, syscall }) => [code, errno, syscall])];`);
    const errno = -os.constants.errno.ENOSYS;
    expect(answer).toEqual([
      false,
      ['ENOSYS', errno, 'sendfile'],
      ['ENOSYS', errno, 'sendfile'],
      ['ENOSYS', errno, 'poll'],
    ]);
  });

  test('a transfer to a socket copies, in order', async () => {
    const answer = await run(`
      const told = [];
      require('node:diagnostics_channel').subscribe('tracing:rs-sendfile:transfer:asyncEnd', (m) => told.push(m));
      const server = net.createServer(async (socket) => {
        socket.write('before');
        await s.transfer(socket, file, { headers: 'h', trailers: 't' });
        socket.end('after');
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = net.connect(server.address().port, '127.0.0.1');
      const chunks = [];
      for await (const chunk of socket) chunks.push(chunk);
      server.close();
      const all = Buffer.concat(chunks);
      const sum = createHash('sha1').update(all.subarray(7, -6)).digest('hex');
      return [sum, all.toString('latin1', 0, 7), all.toString('latin1', all.length - 6), told.map((m) => m.method)];`);
    expect(answer).toEqual([hash, 'beforeh', 'tafter', ['copy']]);
  });

  test('a transfer to a response copies, with its length', async () => {
    const answer = await run(`
      return served(async (req, res) => { await s.transfer(res, file); res.end(); });`);
    expect(answer).toEqual([hash, String(bytes.length)]);
  });

  test('an fd that is closed after the call, and its number taken by another file: its own bytes are sent', async () => {
    const answer = await run(`
      return served(async (req, res) => {
        const fd = fs.openSync(file);
        const sending = s.transfer(res, fd);
        fs.closeSync(fd);
        const taken = fs.openSync(process.execPath);
        if (taken !== fd) throw new Error('another number');
        await sending;
        fs.closeSync(taken);
        res.end();
      });`);
    expect(answer).toEqual([hash, String(bytes.length)]);
  });

  test('a file without a size is sent, and an empty one is empty', async () => {
    const answer = await run(`
      const all = [];
      for (const path of ['/proc/version', ${JSON.stringify(empty)}])
        all.push(await served(async (req, res) => { await s.transfer(res, path); res.end(); }));
      return all;`);
    // Chunked, and with a length.
    expect(answer).toEqual([
      [sha1(fs.readFileSync('/proc/version')), null],
      [sha1(''), '0'],
    ]);
  });

  test("method 'sendfile' is ENOTSUP", async () => {
    const answer = await run(`
      const { PassThrough } = require('node:stream');
      return s.transfer(new PassThrough(), file, { method: 'sendfile' }).catch(({ code }) => code);`);
    expect(answer).toBe('ENOTSUP');
  });

  test('register leaves every stream to Node', async () => {
    const answer = await run(`
      const register = require(${JSON.stringify(`${place}/register.js`)});
      const got = await served((req, res) => fs.createReadStream(file).pipe(res));
      const { taken, left } = register.stats();
      return [got[0], taken, left];`);
    expect(answer).toEqual([hash, 0, { unsupported: 1 }]);
  });

  test('rs-sendfile/send sends', async () => {
    const answer = await run(`
      module.paths.push(${JSON.stringify(require.resolve.paths('send')[0])});
      const path = require('node:path');
      const Module = require('node:module');
      const { _resolveFilename } = Module;
      Module._resolveFilename = (name, ...rest) =>
        name === 'send' ? ${JSON.stringify(require.resolve('send'))} : _resolveFilename(name, ...rest);
      const send = require(${JSON.stringify(`${place}/send.js`)});
      return served((req, res) => send(req, path.basename(file), { root: path.dirname(file) }).pipe(res));`);
    expect(answer).toEqual([hash, String(bytes.length)]);
  });
});
