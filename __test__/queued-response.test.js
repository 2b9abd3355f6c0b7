'use strict';

/** A response that waited behind another on its connection, and is destroyed while its body is on its way. */

const { transfer } = require('..');
const { pattern, tmpFile } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { closeAll, expectBytes, failure, openFile, underWay } = require('./streams');
const { expectCounted } = require('./ways');

afterEach(closeAll);

const turn = () => new Promise(setImmediate);
const content = pattern(32 << 20, 1);
const large = tmpFile(content);

/** The second of two responses, with one transfer under way and one behind it, to a client that does not read yet. */
async function underWaySecond() {
  let second;
  const { port } = await httpServer((req, res) => {
    if (req.url === '/first') return setImmediate(() => res.end('first'));
    // Its turn has not come.
    expect(res.socket).toBe(null);
    const controller = new AbortController();
    res.setHeader('Transfer-Encoding', 'chunked');
    const sending = failure(transfer(res, openFile(large)));
    const behind = failure(transfer(res, openFile(large), { signal: controller.signal }));
    second = { res, sending, behind, controller };
  });
  let reads = false;
  const client = connect(port, async (socket) => {
    while (!reads) await turn();
    return socket.read();
  });
  client.send('/first');
  client.send('/second');
  while (!second?.res.socket) await turn();
  await underWay(second.res.socket, 100_000);
  const received = async () => {
    reads = true;
    expect((await client.response()).body.toString()).toBe('first');
    return client.response();
  };
  return { ...second, client, received };
}

const ends = {
  'by its owner': ({ res }) => res.destroy(),
  'by its socket': ({ res }) => res.socket.destroy(),
  'by a transfer behind it that is aborted': ({ controller }) => controller.abort(),
};

for (const [who, end] of Object.entries(ends)) {
  test(`destroyed ${who}, the transfer tells what has left of it`, async () => {
    const second = await underWaySecond();
    end(second);
    const { code, bytesSent } = await second.sending;
    expect(await second.behind).toMatchObject({ bytesSent: 0 });
    const { body, whole } = await second.received();
    expect({ code, whole }).toEqual({ code: 'ERR_STREAM_PREMATURE_CLOSE', whole: false });
    expectCounted(body.length, bytesSent);
    expectBytes(body, content.subarray(0, body.length));
  });
}

test('destroyed because its client has left, the transfer tells what has left of it', async () => {
  const second = await underWaySecond();
  second.client.destroy();
  expect(await second.sending).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
  expect((await second.sending).bytesSent).toBeGreaterThan(100_000);
});

describe('destroyed before its turn, it does not arrive as if it were whole', () => {
  const cases = {
    'by its owner': ({ res }) => res.destroy(),
    'by its transfer that is aborted': ({ controller }) => controller.abort(),
  };
  for (const [who, end] of Object.entries(cases)) {
    for (const [when, wait] of [
      ['at once', () => {}],
      ['a turn later', turn],
    ]) {
      test.each(['corked', 'not corked'])(`${who}, ${when}, %s`, async (corked) => {
        let sending;
        const { port } = await httpServer(async (req, res) => {
          if (req.url === '/first') {
            while (!sending) await turn();
            await sending;
            return res.end('first');
          }
          const controller = new AbortController();
          res.setHeader('Transfer-Encoding', 'chunked');
          if (corked === 'corked') res.cork();
          sending = failure(transfer(res, openFile(large), { signal: controller.signal }));
          await wait();
          end({ res, controller });
          if (corked === 'corked') res.uncork();
          res.end();
          // Node 18 and 20 tell a response that waits nothing of its end.
          controller.abort();
        });
        const client = connect(port);
        client.send('/first');
        client.send('/second');
        client.send('/first');
        expect((await client.response()).body.toString()).toBe('first');
        expect(await sending).toMatchObject({ bytesSent: 0 });
        const second = await client.response();
        expect(second === null || second.whole === false).toBe(true);
        expect(await client.response()).toBe(null);
      });
    }
  }
});

test('destroyed while a thread is sending, the transfer tells what has left of it', async () => {
  // Whether a thread is at it just then is chance, and more likely than not.
  for (let time = 0; time < 30; time++) {
    let second;
    const { port } = await httpServer(async (req, res) => {
      if (req.url === '/first') return setImmediate(() => res.end('first'));
      res.setHeader('Transfer-Encoding', 'chunked');
      // All of it may be out before.
      second = transfer(res, openFile(large), { length: 300_000 }).catch(({ bytesSent }) => bytesSent);
      while (!res.socket) await turn();
      res.destroy();
    });
    const client = connect(port);
    client.send('/first');
    client.send('/second');
    await client.response();
    const { body } = (await client.response()) ?? { body: Buffer.alloc(0) };
    expect(await second).toBe(body.length);
  }
});

test('aborted while it is corked behind others: those arrive, and nothing after them', async () => {
  const outcomes = [];
  const { port } = await httpServer((req, res) => {
    if (req.url !== '/corked') return res.end(req.url);
    expect(res.socket).toBe(null);
    res.setHeader('Transfer-Encoding', 'chunked');
    res.cork();
    const controller = new AbortController();
    const sending = [
      transfer(res, openFile(large), { length: 1000, signal: controller.signal }),
      transfer(res, openFile(large), { length: 1000 }),
    ];
    controller.abort();
    outcomes.push(...sending.map(failure));
    res.uncork();
    res.end();
  });
  const client = connect(port);
  for (const target of ['/first', '/second', '/third', '/corked', '/behind']) client.send(target);
  for (const target of ['/first', '/second', '/third']) {
    expect((await client.response()).body.toString()).toBe(target);
  }
  expect((await client.rest()).toString()).toBe('');
  const codes = (await Promise.all(outcomes)).map(({ code, bytesSent }) => [code, bytesSent]);
  expect(codes).toEqual([
    ['ABORT_ERR', 0],
    ['ERR_STREAM_PREMATURE_CLOSE', 0],
  ]);
});
