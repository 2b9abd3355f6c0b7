'use strict';

/**
 * A download that goes on where it was cut off, and is checked at its end:
 * `node examples/download-client.js URL [file]`. What has come is in `file.part`; run it again to go on.
 */

const fs = require('node:fs/promises');
const http = require('node:http');
const { setTimeout: pause } = require('node:timers/promises');
const { sha256Of } = require('./lib/digest');
const { mebi, progressBar } = require('./lib/progress');

const ATTEMPTS = 5;
const TIMEOUT_MS = 30_000;

/**
 * @param {string} url
 * @param {string} file
 * @param {{ signal?: AbortSignal, rate?: number }} [options] `rate`: at most so many bytes a second
 * @returns {Promise<string>} the SHA-256 of the file, which is the one that the server has told
 */
async function download(url, file, options = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      const wanted = await fetchRest(url, file, options);
      const sum = await sha256Of(`${file}.part`);
      if (wanted !== undefined && sum !== wanted) {
        await fs.rm(`${file}.part`);
        throw Object.assign(new Error(`SHA-256 is ${sum}, not ${wanted}`), { fatal: true });
      }
      await fs.rename(`${file}.part`, file);
      await fs.rm(`${file}.part.etag`, { force: true });
      return sum;
    } catch (error) {
      if (error.fatal || options.signal?.aborted || attempt === ATTEMPTS) throw error;
      const { size = 0 } = await fs.stat(`${file}.part`).catch(() => ({}));
      console.log(`\ncut off after ${mebi(size)} MiB (${error.code}): going on with Range: bytes=${size}-`);
    }
  }
}

/** Fetches what is not there yet. @returns the SHA-256 that the whole should have, if the server tells */
async function fetchRest(url, file, { signal, rate = Infinity }) {
  const part = await fs.open(`${file}.part`, 'a');
  try {
    let { size: done } = await part.stat();
    const etag = await fs.readFile(`${file}.part.etag`, 'utf8').catch(() => '');
    // If-Range: what is new at the server comes whole, instead of a part that does not fit ours.
    const headers = done > 0 && etag ? { Range: `bytes=${done}-`, 'If-Range': etag } : {};
    const res = await get(url, { headers, signal });
    if (res.statusCode === 200) {
      done = 0;
      await part.truncate(0);
      await fs.writeFile(`${file}.part.etag`, res.headers.etag ?? '');
    } else if (res.statusCode !== 206 || !res.headers['content-range']?.startsWith(`bytes ${done}-`)) {
      res.destroy();
      if (res.statusCode === 416) await part.truncate(0); // all of it or more was there: once more, from the start
      throw Object.assign(new Error(`HTTP ${res.statusCode}`), {
        code: res.statusCode,
        fatal: res.statusCode !== 416,
      });
    }
    const total = done + Number(res.headers['content-length']);
    const show = progressBar();
    for await (const chunk of res) {
      await part.appendFile(chunk);
      done += chunk.length;
      show(done, total);
      if (rate < Infinity) await pause((chunk.length / rate) * 1000);
    }
    return /^sha-256=:(.*):$/.exec(res.headers['repr-digest'] ?? '')?.[1];
  } finally {
    await part.close();
  }
}

function get(url, options) {
  return new Promise((resolve, reject) => {
    const req = http.get(url, { agent: false, ...options }, resolve);
    req.on('error', reject);
    req.setTimeout(TIMEOUT_MS, () => req.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
  });
}

module.exports = { download };

if (require.main === module) {
  const [url, file = 'download'] = process.argv.slice(2);
  download(url, file).then(
    (sum) => console.log(`${file}: SHA-256 ${sum}`),
    (error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
