'use strict';

/**
 * Files whose every read takes 200 ms. They take their time, and nobody else's: not the event loop's, not that of other
 * transfers, not that of libuv's pool.
 */

const dns = require('node:dns');
const fs = require('node:fs');
const { Worker } = require('node:worker_threads');
const { transfer } = require('../..');
const { httpServer, openFds, pattern, readAll, request, runInChild, tmpFile, until } = require('../helpers');
const { describeSlow, loopDelay, mount, slowBytes, threadsReading } = require('../slowfs');
const { closeAll, expectBytes, failure, pair } = require('../streams');

afterEach(closeAll);

const READ = 200;
const SLOW_SIZE = 300_000;
const FAST_SIZE = 8 << 20;
/** How much longer anything may take beside slow disks. What waits for one takes 20 times as long. */
const TIMES = 4;

const fast = pattern(FAST_SIZE, 3);
const fastFile = tmpFile(fast);

async function timed(run) {
  const began = performance.now();
  await run();
  return performance.now() - began;
}

async function download() {
  const { near, far } = await pair();
  const received = readAll(far);
  await transfer(near, fastFile);
  near.end();
  expectBytes(await received, fast);
}

/** What goes on beside the slow files: the shortest that each took of several rounds, as long as they go on. */
async function others(least, goOn = () => true) {
  for (let round = 0; round < 4; round++) {
    const now = {
      download: await timed(download),
      fs: await timed(() => fs.promises.stat(fastFile)),
      lookup: await timed(() => dns.promises.lookup('localhost')),
    };
    if (!goOn()) return;
    for (const [name, time] of Object.entries(now)) least[name] = Math.min(least[name] ?? Infinity, time);
  }
}

describeSlow('slow disks', () => {
  let mounted;
  let seed = 0;
  /** A file that nobody has read yet: nothing of it is in memory. */
  const fresh = (settings = {}) => {
    seed += 1;
    return { file: mounted.file({ size: SLOW_SIZE, read: READ, seed, ...settings }), seed };
  };
  beforeAll(async () => {
    mounted = await mount();
  });
  afterAll(() => mounted.unmount());

  /** So many files and the sockets that they will go to; `send` begins with all at once, `check` waits for them. */
  async function slowOnes(count) {
    const all = [];
    for (let i = 0; i < count; i++) all.push({ ...fresh(), ...(await pair()) });
    let sending;
    const send = async ({ file, near, far }) => {
      const received = readAll(far);
      const sent = await transfer(near, file);
      done += 1;
      near.end();
      return { sent, received: await received };
    };
    let done = 0;
    return {
      goOn: () => done === 0,
      send: () => {
        sending = all.map(send);
      },
      check: async () => {
        const arrived = await Promise.all(sending);
        for (const [i, { sent, received }] of arrived.entries()) {
          expect(sent).toBe(SLOW_SIZE);
          expectBytes(received, slowBytes(SLOW_SIZE, all[i].seed));
        }
      },
    };
  }

  test.each([[3], [30]])('%i at once: the loop, other transfers, fs and dns go on', async (count) => {
    await others({}); // what is made once is there
    const alone = {};
    const beside = {};
    const delays = [];
    /** What has been held up in every round so far. */
    const heldUp = () => [
      ...(delays.some(([busy, idle]) => busy < Math.max(20, 2 * idle)) ? [] : [`the loop: ${delays}`]),
      // Half a millisecond is nobody's.
      ...Object.keys(alone).filter((name) => !(beside[name] < TIMES * (alone[name] + 0.5))),
    ];
    // What waits for the disk does so in every round; a machine that is busy with something else does not.
    for (let round = 0; round < 6 && (round === 0 || heldUp().length > 0); round++) {
      const slow = await slowOnes(count);
      const idle = await loopDelay(() => others(alone));
      const busy = await loopDelay(() => {
        slow.send();
        return others(beside, slow.goOn);
      });
      delays.push([busy.p99, idle.p99]);
      await slow.check();
    }
    expect(heldUp()).toEqual([]);
  });

  test('a response from one of them is whole, its connection good for the next', async () => {
    const { file, seed } = fresh();
    const { port, close } = await httpServer(async (_req, res) => {
      await transfer(res, file);
      res.end();
    });
    const { headers, body } = await request(port);
    expect(headers['content-length']).toBe(String(SLOW_SIZE));
    expectBytes(body, slowBytes(SLOW_SIZE, seed));
    await close();
  });

  describe('a read that does not come back', () => {
    const HANG = 1_800;

    const openHere = () => [...openFds().values()].filter((name) => name.startsWith(mounted.directory));

    /** A transfer that waits for its first read. */
    async function waiting(options) {
      const { near, far } = await pair();
      const { file } = fresh({ read: HANG });
      const handle = await fs.promises.open(file);
      const received = readAll(far).catch(() => Buffer.alloc(0));
      const controller = new AbortController();
      const sending = failure(transfer(near, handle.fd, { signal: controller.signal, ...options }));
      const began = performance.now();
      await until(() => threadsReading() > 0, 'the first read');
      return { near, handle, received, controller, sending, began };
    }

    test('does not keep an aborted transfer, and none of its bytes comes after', async () => {
      const { near, handle, received, controller, sending, began } = await waiting();
      controller.abort();
      expect(await sending).toMatchObject({ code: 'ABORT_ERR', bytesSent: 0 });
      expect(performance.now() - began).toBeLessThan(HANG - 300);
      // A stream that goes on is its owner's alone.
      if (!near.destroyed) near.write('after');
      await handle.read(Buffer.alloc(1), 0, 1, 0); // until the read has come back
      await until(() => openHere().length === 1, 'the end of the step');
      near.end();
      expect((await received).toString('latin1', 0, 100)).toMatch(/^(after)?$/);
      await handle.close();
    });

    test('does not keep a transfer past its timeout', async () => {
      const { near, handle, received, sending, began } = await waiting({ timeout: 100 });
      expect(await sending).toMatchObject({ code: 'ERR_SENDFILE_TIMEOUT', bytesSent: 0 });
      expect(performance.now() - began).toBeLessThan(HANG - 300);
      expect(near.destroyed).toBe(true);
      expect(await received).toHaveLength(0);
      await handle.close();
    });

    test('does not keep a worker that ends while a file is being sent whose closing waits', async () => {
      const { file } = fresh({ flush: HANG, read: 0, size: 8 << 20 });
      const worker = new Worker(
        `
        const net = require('node:net');
        const { transfer } = require(${JSON.stringify(require.resolve('../..'))});
        const { parentPort } = require('node:worker_threads');
        const server = net.createServer((socket) => socket.pause()).listen(0, '127.0.0.1', () => {
          const socket = net.connect(server.address().port, '127.0.0.1', () => {
            transfer(socket, ${JSON.stringify(file)}, { onProgress: () => parentPort.postMessage('under way') });
          });
        });`,
        { eval: true },
      );
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      const began = performance.now();
      await worker.terminate();
      expect(performance.now() - began).toBeLessThan(HANG - 300);
    });

    test('does not keep a transfer whose peer has left', async () => {
      const { near, handle, sending, began } = await waiting();
      near.destroy();
      expect(await sending).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE', bytesSent: 0 });
      expect(performance.now() - began).toBeLessThan(HANG - 300);
      await handle.close();
    });

    test('does not keep an aborted transfer that copies for want of a descriptor, and its socket goes on', async () => {
      const { file } = fresh({ read: 60_000 });
      const program = `
        const fs = require('node:fs');
        const { transfer } = require('.');
        const { readAll, socketPair } = require('./__test__/helpers');
        (async () => {
          const { near, far } = await socketPair();
          const fd = fs.openSync(${JSON.stringify(file)});
          const taken = [];
          try {
            for (;;) taken.push(fs.openSync('/dev/null'));
          } catch {
            fs.closeSync(taken.pop());
          }
          const controller = new AbortController();
          const sending = transfer(near, fd, { signal: controller.signal });
          setImmediate(() => controller.abort());
          await sending.catch(({ code, bytesSent }) => console.log(code, bytesSent));
          near.end('after');
          console.log((await readAll(far)).toString());
          // process.exit() waits for libuv's pool, which has the read.
          process.kill(process.pid, 'SIGKILL');
        })();
      `;
      const under = ['/bin/sh', '-c', 'ulimit -n 64; exec "$0" "$@"'];
      const { stdout, stderr } = await runInChild(program, { under });
      expect(stderr).toBe('');
      expect(stdout).toBe('ABORT_ERR 0\nafter\n');
    });

    test('leaves nothing open once it has come back', async () => {
      await until(
        () => ![...openFds().values()].some((name) => name.startsWith(mounted.directory)),
        'the files',
      );
    });
  });

  describe('a process that ends while its transfers wait for the disk', () => {
    /** Begins three transfers, does `act` once they wait, and tells how the process has ended. */
    async function ends(act, settings) {
      const files = Array.from({ length: 3 }, () => fresh(settings).file);
      const program = `
        const { transfer } = require('.');
        const { socketPair, until } = require('./__test__/helpers');
        const { threadsReading } = require('./__test__/slowfs');
        (async () => {
          for (const file of ${JSON.stringify(files)}) {
            const { near, far } = await socketPair();
            far.resume();
            transfer(near, file).catch(() => {});
          }
          await until(() => threadsReading() === 3, 'the reads');
          console.log('reading');
          ${act}
        })();
      `;
      const { code, signal, stdout, stderr } = await runInChild(program, { timeout: 20_000 });
      expect(stdout).toBe('reading\n');
      return { code, signal, stderr };
    }

    // Past the page cache a read that the disk has taken cannot be broken off: the kernel waits for it.
    test.each([
      ['process.exit()', { read: 60_000 }],
      ['process.exit(), past the page cache', { read: READ, direct: 1 }],
    ])('by %s', async (_name, settings) => {
      const end = await ends('process.exit(7);', settings);
      expect(end).toEqual({ code: 7, signal: null, stderr: '' });
    });

    test('by an uncaught exception', async () => {
      const { code, stderr } = await ends("setImmediate(() => { throw new Error('thrown'); });", {
        read: 60_000,
      });
      expect(code).toBe(1);
      expect(stderr).toContain('Error: thrown');
    });

    test('by a signal', async () => {
      const { signal } = await ends("process.kill(process.pid, 'SIGTERM');", { read: 60_000 });
      expect(signal).toBe('SIGTERM');
    });
  });
});
