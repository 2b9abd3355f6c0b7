'use strict';

/**
 * On a file system that somebody else answers for everything can be slow: finding a file, opening it, asking for its
 * size, reading it though it is small, closing it. None of it is waited for on the event loop.
 */

const fs = require('node:fs');
const { transfer } = require('..');
const { readAll, runInChild, tmpFile, tmpPath } = require('./helpers');
const { describeSlow, loopDelay, mount, runDenied, slowBytes } = require('./slowfs');
const { closeAll, expectBytes, pair } = require('./streams');

afterEach(closeAll);

/** How long the file system takes for what it is slow at, and what the loop may be held up by others meanwhile. */
const SLOW = 150;
const HELD = SLOW / 2;
const SIZE = 50_000;

/**
 * The least of three, or of as many as ten if it is too much so far: what waits does so every time; a machine that is busy
 * with something else does not.
 */
async function leastOf(measure) {
  let least = Infinity;
  for (let time = 0; time < 3 || (time < 10 && least >= HELD); time++)
    least = Math.min(least, await measure());
  return least;
}

/** Whoever has seen a name lately makes the kernel know it. */
const warm = (file) => fs.promises.stat(file);

describeSlow('a file system that is slow', () => {
  let mounted;
  beforeAll(async () => {
    mounted = await mount();
  });
  afterAll(() => mounted.unmount());

  /** Sends the file, and tells how long the loop was held up until it was over, and closed. */
  async function send(source) {
    const { near, far } = await pair();
    const received = readAll(far);
    const { longest } = await loopDelay(async () => {
      await transfer(near, source);
      near.end();
      await received;
    });
    expectBytes(await received, slowBytes(SIZE));
    return longest;
  }

  test.each([['lookup'], ['open'], ['getattr'], ['read'], ['flush']])(
    'at %s does not hold up the loop, by path, again and again',
    async (what) => {
      const file = mounted.file({ size: SIZE, [what]: SLOW });
      expect(await leastOf(() => send(file))).toBeLessThan(HELD);
    },
  );

  test.each([['getattr'], ['read'], ['flush']])('at %s does not hold up the loop, by fd', async (what) => {
    const file = mounted.file({ size: SIZE, [what]: SLOW });
    const held = async () => {
      // Opening it makes the kernel forget its bytes. Its own close is slow too, and the test's, not ours.
      const handle = await fs.promises.open(file);
      return send(handle.fd).finally(() => handle.close());
    };
    expect(await leastOf(held)).toBeLessThan(HELD);
  });
});

describeSlow('a path that was on a local disk', () => {
  /** Sends the path, whoever answers for it now: how long the loop was held up. */
  const held = (path, bytes) =>
    leastOf(async () => {
      await warm(path);
      const { near, far } = await pair();
      const received = readAll(far);
      const { longest } = await loopDelay(async () => {
        await transfer(near, path);
        near.end();
      });
      expectBytes(await received, bytes);
      return longest;
    });

  test('is opened as any other once a slow file system is mounted over it', async () => {
    const directory = tmpPath('over');
    const name = `size=${SIZE},open=${SLOW},ttl=60000`;
    fs.mkdirSync(directory);
    fs.writeFileSync(`${directory}/${name}`, 'local');
    expect(await held(`${directory}/${name}`, Buffer.from('local'))).toBeLessThan(HELD);
    const mounted = await mount({ at: directory });
    try {
      expect(await held(`${directory}/${name}`, slowBytes(SIZE))).toBeLessThan(HELD);
    } finally {
      await mounted.unmount();
    }
  });

  test('is opened as any other once a link leads it to a slow file system', async () => {
    const mounted = await mount();
    try {
      const link = tmpPath('link');
      fs.symlinkSync(tmpFile('local'), link);
      expect(await held(link, Buffer.from('local'))).toBeLessThan(HELD);
      fs.unlinkSync(link);
      fs.symlinkSync(mounted.file({ size: SIZE, open: SLOW, ttl: 60_000 }), link);
      expect(await held(link, slowBytes(SIZE))).toBeLessThan(HELD);
    } finally {
      await mounted.unmount();
    }
  });
});

describeSlow('a process', () => {
  /** Sends this source three times in a process of its own, begun by `run`: the least that its loop was held up. */
  async function heldInChild(run, file, begin, source) {
    const { stdout, stderr } = await run(`
        const fs = require('node:fs');
        const { transfer } = require('.');
        const { readAll, socketPair } = require('./__test__/helpers');
        const { loopDelay, slowBytes } = require('./__test__/slowfs');
        ${begin}
        (async () => {
          const handle = await fs.promises.open(${JSON.stringify(file)});
          const times = [];
          for (let time = 0; time < 3; time++) {
            const { near, far } = await socketPair();
            const received = readAll(far);
            const { longest } = await loopDelay(() => transfer(near, ${source}));
            near.end();
            console.log((await received).equals(slowBytes(${SIZE})));
            times.push(longest);
          }
          console.log(Math.min(...times));
          process.reallyExit(0); // the helpers' folder is not its own any more
        })();
      `);
    expect(stderr).toBe('');
    const [least, ...right] = stdout.trim().split('\n').reverse();
    expect(right).toEqual(['true', 'true', 'true']);
    return Number(least);
  }

  test('that does not own the file is not held up to be told that it may not count its pages', async () => {
    const mounted = await mount({ options: ['default_permissions'] });
    const file = mounted.file({ size: SIZE, getattr: SLOW });
    try {
      const held = await heldInChild(runInChild, file, 'process.setuid(65534);', 'handle.fd');
      expect(held).toBeLessThan(HELD);
    } finally {
      await mounted.unmount();
    }
  });

  test('in a sandbox that answers no question about files is not held up', async () => {
    const mounted = await mount();
    const file = mounted.file({ size: SIZE, open: SLOW, getattr: SLOW });
    const calls = ['cachestat', 'preadv2', 'openat2', 'statx'].map((call) => [call, 'EPERM']);
    const run = (program) => runDenied(Object.fromEntries(calls), program);
    try {
      expect(await heldInChild(run, file, '', JSON.stringify(file))).toBeLessThan(HELD);
    } finally {
      await mounted.unmount();
    }
  });
});
