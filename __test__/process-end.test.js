'use strict';

/**
 * What ends a process, or would like to, while transfers are under way: the exit code is Node's own, nothing hangs, and
 * no child inherits what belongs to a transfer.
 */

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { promisify } = require('node:util');
const { transfer } = require('..');
const { openFds, runInChild, tmpFile, until } = require('./helpers');
const { closeAll, failure, openFile, pair, underWay } = require('./streams');
const { HELD, onlyBy } = require('./ways');

const onLinux = process.platform === 'linux' ? describe : describe.skip;

afterEach(closeAll);

const large = tmpFile('');
fs.truncateSync(large, 64 << 20);
const small = tmpFile(1000);
const env = { LARGE: large, SMALL: small };

const prelude = `
  const { transfer } = require('.');
  const fs = require('node:fs');
  const net = require('node:net');
  const { once } = require('node:events');
  const { socketPair, readBytes } = require('./__test__/helpers');
  const { LARGE, SMALL } = process.env;
  const exit = () => process.exit(9);
`;

/** A program with a pair of sockets, in which this happens. */
function program(body) {
  return runInChild(
    `${prelude}
    (async () => {
      const { near, far } = await socketPair();
      near.on('error', () => {});
      far.on('error', () => {});
      ${body}
    })();`,
    { env },
  );
}

describe('process.exit() with others under way', () => {
  const places = {
    'in the then of a small transfer': 'far.resume(); transfer(near, SMALL).then(exit);',
    'in the then of a large transfer': 'far.resume(); transfer(near, LARGE).then(exit);',
    'in the catch of a transfer':
      'transfer(near, LARGE).catch(exit); await readBytes(far, 1000); near.destroy();',
    'in a write callback behind a transfer':
      "far.resume(); transfer(near, fs.openSync(LARGE)).catch(() => {}); near.write('x', exit);",
    "in a listener of 'drain'":
      "far.resume(); near.on('drain', exit); transfer(near, fs.openSync(LARGE)).catch(() => {});",
    'on a diagnostics channel':
      "far.resume(); require('node:diagnostics_channel').subscribe('tracing:rs-sendfile:transfer:asyncEnd', exit); transfer(near, LARGE).catch(() => {});",
    "in a listener of the socket's 'close'":
      "near.on('close', exit); transfer(near, LARGE).catch(() => {}); await readBytes(far, 1000); near.destroy();",
    'while a path is being opened': 'transfer(near, LARGE).catch(() => {}); exit();',
    'in a microtask after the call': 'transfer(near, LARGE).catch(() => {}); await null; exit();',
  };

  test.each(Object.entries(places))('%s', async (_name, text) => {
    const others = `
      const others = await Promise.all([1, 2, 3].map(() => socketPair()));
      for (const pair of others) for (const file of [LARGE, SMALL]) transfer(pair.near, file).catch(() => {});
    `;
    const { code, signal, stderr } = await program(others + text);
    expect({ code, signal, stderr }).toEqual({ code: 9, signal: null, stderr: '' });
  });
});

describe('an uncaught exception', () => {
  const places = {
    'in the then of a transfer':
      "far.resume(); transfer(near, LARGE).then(() => { throw new Error('mine'); });",
    'in onProgress': "far.resume(); transfer(near, LARGE, { onProgress() { throw new Error('mine'); } });",
    'in the middle of one':
      "transfer(near, LARGE); await readBytes(far, 1000); setImmediate(() => { throw new Error('mine'); });",
  };

  test.each(Object.entries(places))('%s ends the process with code 1', async (_name, text) => {
    const { code, signal, stderr } = await program(text);
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain('Error: mine');
  });

  test('that is handled leaves the transfer as it was', async () => {
    const { code, stdout, stderr } = await program(`
      process.on('uncaughtException', ({ message }) => console.log(message));
      const sending = transfer(near, LARGE);
      await readBytes(far, 1000);
      setImmediate(() => { throw new Error('mine'); });
      await once(process, 'uncaughtException');
      far.resume();
      console.log(await sending);
      near.end();
    `);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `mine\n${64 << 20}\n`, stderr: '' });
  });
});

onLinux('a signal', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL', 'SIGUSR2'])(
    '%s ends a process in the middle of transfers',
    async (name) => {
      const { code, signal, stderr } = await program(`
      const sending = [LARGE, SMALL].map((file) => transfer(near, file).catch(() => {}));
      far.once('readable', () => process.kill(process.pid, '${name}'));
      await Promise.all(sending);
    `);
      expect({ code, signal, stderr }).toEqual({ code: null, signal: name, stderr: '' });
    },
  );

  test('that is handled is heard by Node, whatever the engine’s threads do', async () => {
    const { code, stdout, stderr } = await program(`
      let heard = 0;
      process.on('SIGUSR2', () => { heard += 1; });
      far.resume();
      const sending = transfer(near, LARGE, { onProgress() {} });
      for (let i = 0; i < 20; i++) {
        const signal = once(process, 'SIGUSR2');
        process.kill(process.pid, 'SIGUSR2');
        await signal;
      }
      console.log(await sending, heard);
      near.end();
    `);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${64 << 20} 20\n`, stderr: '' });
  });
});

onLinux('SIGPIPE, once a listener was added and removed', () => {
  /** From then on its disposition is the default one: a plain write to such a socket ends the process. */
  const deadly = `
    const noop = () => {};
    process.on('SIGPIPE', noop);
    process.off('SIGPIPE', noop);
  `;

  test('ends a process by a plain write to a peer that has left', async () => {
    const { signal } = await program(`${deadly}
      far.destroy();
      await once(far, 'close');
      const fd = near._handle.fd;
      for (let i = 0; i < 100; i++) {
        try { fs.writeSync(fd, 'to nobody'); } catch ({ code }) { if (code !== 'ECONNRESET') throw code; }
      }
    `);
    expect(signal).toBe('SIGPIPE');
  });

  const transfers = {
    'that is sent at once':
      "const error = await failure(transfer(near, fs.openSync(SMALL), { headers: 'head' }));",
    'that is sent at once, of a path': 'const error = await failure(transfer(near, SMALL));',
    'that is copied natively': "const error = await failure(transfer(near, LARGE, { method: 'copy' }));",
    'that is sent by a thread': 'const error = await failure(transfer(near, LARGE));',
  };
  const failure =
    'const failure = (promise) => promise.then((bytes) => ({ code: bytes }), (error) => error);';

  // Who copies in JS writes by Node, which the signal ends.
  const natively = onlyBy(['sendfile', 'copy'], 'Node itself writes');

  natively.each(Object.entries(transfers))('does not end it by a transfer %s', async (_name, text) => {
    const { code, signal, stdout, stderr } = await runInChild(
      `${prelude}${deadly}${failure}
      (async () => {
        for (const unix of [true, false]) {
          const { near, far } = await socketPair({ unix });
          near.on('error', () => {});
          far.destroy();
          await once(far, 'close');
          ${text}
          console.log(error.code);
        }
      })();`,
      { env },
    );
    // TCP takes a small file once before it learns of the reset.
    expect(stdout).toMatch(/^ERR_STREAM_PREMATURE_CLOSE\n(ERR_STREAM_PREMATURE_CLOSE|1000|1004)\n$/);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  });

  natively('does not end it by a thread whose peer leaves while it waits or sends', async () => {
    const { code, signal, stdout, stderr } = await runInChild(
      `${prelude}${deadly}${failure}
      (async () => {
        const pairs = await Promise.all(Array.from({ length: 60 }, (_, i) => socketPair({ unix: i % 2 === 0 })));
        const errors = await Promise.all(pairs.map(async ({ near, far }, i) => {
          far.on('error', () => {});
          near.on('error', () => {});
          const sending = failure(transfer(near, LARGE, { method: i % 3 ? 'auto' : 'copy' }));
          await readBytes(far, 1 + i * 10_000);
          if (i % 4 === 1) far.resetAndDestroy();
          else far.destroy();
          return sending;
        }));
        console.log([...new Set(errors.map(({ code }) => code))].join());
      })();`,
      { env },
    );
    expect({ code, signal, stdout, stderr }).toEqual({
      code: 0,
      signal: null,
      stdout: 'ERR_STREAM_PREMATURE_CLOSE\n',
      stderr: '',
    });
  });
});

onLinux('a child process that is started in the middle of transfers', () => {
  test('inherits none of their descriptors', async () => {
    const list = async () => {
      const { stdout } = await promisify(execFile)('ls', ['-l', '/proc/self/fd']);
      return stdout;
    };
    const { near, far } = await pair({ unix: true });
    const sending = [
      failure(transfer(near, large)),
      failure(transfer(near, openFile(large))),
      failure(transfer(near, small, { method: 'copy' })),
    ];
    await underWay(near);
    const mine = [...openFds().values()];
    const socket = fs.readlinkSync(`/proc/self/fd/${near._handle.fd}`);
    // They are there: the socket and its duplicate, the file by its path and by the duplicate of its fd.
    expect(mine.filter((what) => what === socket)).toHaveLength(HELD);
    expect(mine.filter((what) => what === large)).toHaveLength(3);
    const theirs = await list();
    expect(theirs).not.toContain(large);
    expect(theirs).not.toContain(socket);
    expect(theirs).not.toContain('eventpoll');
    near.destroy();
    far.destroy();
    for (const error of await Promise.all(sending)) expect(error.code).toBe('ERR_STREAM_PREMATURE_CLOSE');
  });

  test('does not keep a peer waiting for the end', async () => {
    const { near, far } = await pair({ unix: true });
    const sending = failure(transfer(near, large));
    await underWay(near);
    const child = execFile('sleep', ['300']);
    await once(child, 'spawn');
    try {
      let ended = false;
      far.on('end', () => {
        ended = true;
      });
      far.resume();
      near.destroy();
      await until(() => ended, 'the peer to see the end');
    } finally {
      child.kill();
    }
    await sending;
  });
});
