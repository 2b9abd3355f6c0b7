'use strict';

/** Questions to a process that was started by `fork`, and their answers. */

const { fork } = require('node:child_process');
const path = require('node:path');

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

/** Starts one of the programs here: `ask(question, argument)` gives its answer, `end()` ends it. */
function start(program, { env = {}, execArgv = [] } = {}) {
  const child = fork(path.join(__dirname, program), {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    execArgv,
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
