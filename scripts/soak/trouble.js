'use strict';

/** What goes wrong in the server's own process while it serves: descriptors run out, workers are ended under transfers. */

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { Expected } = require('./content');
const { SIZES } = require('./plan');

const WORKER_EVERY_MS = 250;
const STORM_EVERY_MS = 1500;
const STORM_MS = 30;

/** A worker that sends the largest file to whoever connects, over and over. */
const WORKER = `
  const { workerData: { file, socket, lib } } = require('node:worker_threads');
  const net = require('node:net');
  const { transfer } = require(lib);
  net.createServer(async (peer) => {
    peer.on('error', () => {});
    try {
      for (;;) await transfer(peer, file);
    } catch {
      peer.destroy();
    }
  }).listen(socket, () => require('node:worker_threads').parentPort.postMessage('listening'));
`;

function startTrouble({ files, directory }) {
  const told = { workers: 0, storms: 0, wrong: 0, failures: /** @type {string[]} */ ([]) };
  let going = true;
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // A worker that finds no descriptor while it starts does not end, nor give back what it has: that is Node's own.
  let calm = Promise.resolve();
  /** One after the other. @param {() => Promise<void>} work */
  const alone = (work) => {
    calm = calm.then(work, work);
    return calm;
  };

  async function endWorkers() {
    for (let i = 0; going; i++) {
      try {
        await endOneWorker(path.join(directory, `worker-${process.pid}-${i}`), i);
      } catch (error) {
        told.failures.push(String(error.stack));
      }
      await sleep(WORKER_EVERY_MS);
    }
  }

  async function endOneWorker(socket, i) {
    const largest = SIZES.length - 1;
    const workerData = { file: files[largest], socket, lib: path.join(__dirname, '..', '..') };
    let worker;
    await alone(
      () =>
        new Promise((resolve, reject) => {
          worker = new Worker(WORKER, { eval: true, workerData });
          worker.once('message', resolve);
          worker.once('error', reject);
          worker.once('exit', () => reject(new Error('a worker has ended by itself')));
        }),
    );
    const expected = new Expected(
      Array.from({ length: 1000 }, () => ({ seed: largest + 1, offset: 0, length: SIZES[largest] })),
    );
    const peer = net.connect(socket);
    peer.on('error', () => {});
    peer.on('data', (chunk) => expected.take(chunk));
    await new Promise((resolve) => peer.once('data', resolve).once('close', resolve));
    await sleep(i % 20);
    await worker.terminate();
    told.workers++;
    peer.destroy();
    if (!expected.isRight) told.wrong++;
    fs.rmSync(socket, { force: true });
  }

  async function runOut() {
    while (going) {
      await sleep(STORM_EVERY_MS);
      if (going) await alone(takeAll);
    }
  }

  /** Takes every descriptor there is, for a moment. */
  async function takeAll() {
    process.send({ storm: true });
    const taken = [];
    try {
      for (;;) taken.push(fs.openSync('/dev/null'));
    } catch (error) {
      if (error.code !== 'EMFILE') told.failures.push(String(error.stack));
    }
    await sleep(STORM_MS);
    for (const fd of taken) fs.closeSync(fd);
    told.storms++;
    process.send({ storm: false });
  }

  const done = Promise.all([endWorkers(), runOut()]);
  return {
    async stop() {
      going = false;
      await done;
      return told;
    },
  };
}

module.exports = { startTrouble };
