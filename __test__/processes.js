'use strict';

/** Programs in processes of their own that are asked questions, and answer them. */

const { spawn } = require('node:child_process');

/** Answers the parent's questions until it disconnects. @param {Record<string, (argument: any) => any>} handlers */
function answers(handlers) {
  process.on('message', async ({ id, question, argument }) => {
    try {
      process.send({ id, answer: await handlers[question](argument) });
    } catch (error) {
      process.send({ id, error: error.stack });
    }
  });
  process.on('disconnect', () => process.exit());
}

const children = new Set();

/**
 * Starts a program: `ask(question, argument)` gives its answer, `end()` ends it.
 * @param {string} program its file
 * @param {{ descriptors?: number }} [options] the most descriptors it may have
 */
function start(program, { descriptors } = {}) {
  const few = descriptors === undefined ? [] : ['/bin/sh', '-c', `ulimit -n ${descriptors}; exec "$0" "$@"`];
  const [command, ...args] = [...few, process.execPath, program];
  const child = spawn(command, args, {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.add(child);
  const pending = new Map();
  let count = 0;
  child.on('message', ({ id, answer, error }) => {
    const { resolve, reject } = pending.get(id);
    pending.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  });
  const exited = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      children.delete(child);
      for (const { reject } of pending.values()) reject(new Error(`${program} ended: ${code ?? signal}`));
      resolve();
    });
  });
  return {
    pid: child.pid,
    ask: (question, argument) =>
      new Promise((resolve, reject) => {
        const id = count++;
        pending.set(id, { resolve, reject });
        child.send({ id, question, argument });
      }),
    end() {
      if (child.connected) child.disconnect();
      return exited;
    },
  };
}

/** For `afterEach`: ends what a test that failed has left running. */
function endAll() {
  for (const child of children) child.kill('SIGKILL');
}

module.exports = { answers, start, endAll };
