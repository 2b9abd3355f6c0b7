'use strict';

const fs = require('node:fs');
const { transfer } = require('..');
const { pattern, readAll, runInChild, tmpFile } = require('./helpers');
const { closeAll, failure, openFile, pair } = require('./streams');

afterEach(closeAll);

const file = tmpFile(pattern(90, 3));

/** Prints how many times the server's socket was written to for one response. */
const program = `
  const http = require('node:http');
  const { transfer } = require('.');
  let writes = 0;
  const server = http.createServer(async (req, res) => {
    res.setHeader('Content-Length', 92);
    await transfer(res, ${JSON.stringify(file)}, { headers: 'h', trailers: 't' });
    res.end();
  });
  server.on('connection', ({ _handle }) => {
    for (const name of ['writev', 'writeBuffer', 'writeLatin1String', 'writeUtf8String', 'writeAsciiString']) {
      const write = _handle[name];
      _handle[name] = (...args) => {
        writes++;
        return write.apply(_handle, args);
      };
    }
  });
  server.listen(0, '127.0.0.1', () => {
    http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (response) => {
      let bytes = 0;
      response.on('data', (chunk) => { bytes += chunk.length; });
      response.on('end', () => {
        console.log(JSON.stringify({ bytes, writes }));
        server.close();
      });
    });
  });
`;

// A client that has the head of a short file has it all: it may go on at once, and the connection is free for that.
test.each([
  ['by RS_SENDFILE_DISABLE=1', { RS_SENDFILE_DISABLE: '1' }],
  ['for want of a binary', { NAPI_RS_NATIVE_LIBRARY_PATH: '/nonexistent', RS_SENDFILE_DISABLE: '' }],
])(
  'read and written in JS %s, a file leaves in one write with the head of its response',
  async (_why, env) => {
    const { stdout, stderr } = await runInChild(program, { env });
    expect(stderr).toBe('');
    // What comes behind the file has a write of its own.
    expect(JSON.parse(stdout)).toEqual({ bytes: 92, writes: 2 });
  },
);

test('what was written before a file arrives, even if nothing of the file is left', async () => {
  const { near, far } = await pair();
  const cut = tmpFile(pattern(1000, 4));
  const received = readAll(far);
  near.cork();
  near.write('before');
  const sending = failure(transfer(near, openFile(cut)));
  fs.truncateSync(cut);
  near.uncork();
  expect(await sending).toMatchObject({ code: 'ERR_SENDFILE_TRUNCATED', bytesSent: 0 });
  expect((await received).toString()).toBe('before');
});
