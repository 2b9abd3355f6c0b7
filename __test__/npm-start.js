'use strict';

/** `npm start` in a process of its own, without npm. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { root } = require('./helpers');
const { nodeOptions } = require('./ways');

const LIMIT_MS = 60_000;

/**
 * Serves this directory on this port, or a free one: `{ child, port, url, lines, line, stop }`. `lines` grows; `line(pattern)` waits
 * for one; `stop()` ends it and tells its exit code.
 */
async function npmStart(directory, { port: wanted = 0, env = {} } = {}) {
  const args = [path.join(root, 'scripts', 'start.js'), directory, '--port', String(wanted)];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, INIT_CWD: '', NODE_OPTIONS: nodeOptions, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const lines = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop();
    lines.push(...parts);
    child.emit('lines');
  });

  async function line(pattern) {
    const late = AbortSignal.timeout(LIMIT_MS);
    const gone = exit.then(() => {
      throw new Error(`it ended without a line like ${pattern}:\n${lines.join('\n')}`);
    });
    gone.catch(() => {});
    for (;;) {
      const found = lines.find((text) => pattern.test(text));
      if (found !== undefined) return pattern.exec(found);
      await Promise.race([once(child, 'lines', { signal: late }), gone]);
    }
  }

  async function stop(signal = 'SIGTERM') {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    const [code] = await exit;
    clearTimeout(timer);
    return code;
  }

  try {
    const [, url, port] = await line(/(http:\/\/127\.0\.0\.1:(\d+)\/__sendfile)$/);
    return { child, port: Number(port), url, lines, line, stop };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

module.exports = { npmStart };
