'use strict';

/** Workers of a cluster: each sends, one that is killed takes only its own transfers with it, one that leaves ends them. */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { pattern, tmpFile, until } = require('./helpers');
const { connect } = require('./http-client');
const { expectBytes } = require('./streams');

const SIZE = 16 << 20;
const content = pattern(SIZE, 51);
const file = tmpFile(content);

let primary;
let messages;

async function start(policy) {
  primary = fork(path.join(__dirname, 'fixtures', 'cluster.js'), [file, policy]);
  messages = [];
  primary.on('message', (message) => messages.push(message));
  await until(() => messages.length > 0, 'the workers');
  return messages[0].port;
}

afterEach(async () => {
  primary.disconnect();
  const timer = setTimeout(() => primary.kill('SIGKILL'), 30_000);
  if (primary.exitCode === null) await once(primary, 'exit');
  clearTimeout(timer);
  expect(primary.exitCode).toBe(0);
});

/** What the primary has said of the end of a worker. */
async function exitOf(pid) {
  await until(() => messages.some((message) => message.pid === pid), 'the exit of a worker');
  return messages.find((message) => message.pid === pid);
}

/** A download that has begun: its worker is known, and its client has read no more than the head. */
async function begin(port) {
  const client = connect(port);
  client.send('/');
  await client.fill();
  const [, pid] = /^Worker: (\d+)\r$/m.exec(client.buffer.toString('latin1', 0, 500));
  return { client, pid: Number(pid) };
}

/** Downloads that have begun, until both workers have two at least. */
async function beginOnBoth(port) {
  const downloads = [];
  const count = (pid) => downloads.filter((download) => download.pid === pid).length;
  while (new Set(downloads.map(({ pid }) => pid)).size < 2 || downloads.some(({ pid }) => count(pid) < 2)) {
    if (downloads.length > 200) throw new Error('one worker has got 200 connections, the other none');
    downloads.push(await begin(port));
  }
  return downloads;
}

async function finish({ client }) {
  const { body, whole } = await client.response();
  return { body, whole };
}

describe.each([['rr'], ['none']])('scheduling policy %s', (policy) => {
  test('a worker that is killed in the middle takes its own transfers with it, and no others', async () => {
    const downloads = await beginOnBoth(await start(policy));
    const [{ pid: victim }] = downloads;
    primary.send({ pid: victim, what: 'SIGKILL' });
    expect(await exitOf(victim)).toMatchObject({ signal: 'SIGKILL' });
    for (const download of downloads) {
      const { body, whole } = await finish(download);
      expect(whole).toBe(download.pid !== victim);
      expectBytes(body, content.subarray(0, body.length));
    }
  });

  test('a worker that is disconnected sends to the end, and exits by itself', async () => {
    const downloads = await beginOnBoth(await start(policy));
    const [{ pid: leaver }] = downloads;
    primary.send({ pid: leaver, what: 'disconnect' });
    for (const download of downloads) {
      const { body, whole } = await finish(download);
      expect(whole).toBe(true);
      expectBytes(body, content);
    }
    expect(await exitOf(leaver)).toMatchObject({ code: 0, signal: null });
  });
});
