'use strict';

/** 200 workers that are ended in the middle: no crash, no hang, nothing left over. */

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { root, tmpFile, tmpPath } = require('../helpers');

test('200 workers ended in the middle of their transfers, while the main thread sends', async () => {
  const directory = tmpPath('files');
  fs.mkdirSync(directory);
  for (let i = 0; i < 50; i++) fs.writeFileSync(path.join(directory, String(i)), Buffer.alloc(1000 * i, i));
  const program = path.join(root, '__test__', 'fixtures', 'ending-workers.js');
  const args = ['200', directory, tmpFile(12 << 20)];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, ...args], {
    timeout: 200_000,
    killSignal: 'SIGKILL',
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ workers: 200, whole: true, more: 0 });
});
