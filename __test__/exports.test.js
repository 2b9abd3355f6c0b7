'use strict';

/** The names of the package, both ways of loading it, and what it does without a binary. */

const fs = require('node:fs');
const path = require('node:path');
const rsSendfile = require('..');
const { binaryPath, root, runInChild, tmpFile, tmpPath } = require('./helpers');

const FLAGS = ['SF_NODISKIO', 'SF_MNOWAIT', 'SF_SYNC', 'SF_USER_READAHEAD', 'SF_NOCACHE'];
const isFreeBSD = process.platform === 'freebsd';

/** The names of the values that index.d.ts exports, each once. */
function declaredValues() {
  const text = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8');
  const names = [...text.matchAll(/^export (?:declare )?(?:function|const|class|let|var|enum) (\w+)/gm)];
  return [...new Set(names.map(([, name]) => name))].sort();
}

describe('names', () => {
  test('index.d.ts declares what require gives', () => {
    expect(Object.keys(rsSendfile).sort()).toEqual(declaredValues());
    expect(declaredValues()).toContain('waitWritable');
  });

  test('import gives the same names and values, and the whole as default', async () => {
    const { code, stdout, stderr } = await runInChild(
      `import * as names from 'rs-sendfile';
       import { createRequire } from 'node:module';
       const required = createRequire(process.cwd() + '/x.js')('rs-sendfile');
       const { default: whole, ...rest } = names;
       const same = Object.keys(rest).every((name) => rest[name] === required[name]);
       console.log(JSON.stringify([Object.keys(rest).sort(), same, whole === required]));`,
      { args: ['--input-type=module'] },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual([declaredValues(), true, true]);
  });

  test('names can be imported one by one, and the call works', async () => {
    const file = tmpFile('imported');
    const { code, stdout, stderr } = await runInChild(
      `import { sendfile, sendfileSync, transfer, waitWritable, constants, support } from 'rs-sendfile';
       import fs from 'node:fs';
       const input = fs.openSync(${JSON.stringify(file)});
       const out = fs.openSync(${JSON.stringify(tmpPath())}, 'w');
       const counts = [sendfileSync(out, input, 0, 3), await sendfile(out, input, 3, null)];
       await waitWritable(out);
       console.log(JSON.stringify([counts, typeof transfer, support.available, typeof constants]));`,
      { args: ['--input-type=module'] },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual([[3, 5], 'function', true, 'object']);
  });

  test('requiring it keeps no process alive and prints nothing', async () => {
    const result = await runInChild(`require('rs-sendfile');`);
    expect(result).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  });

  test('package.json can be required', () => {
    expect(require('rs-sendfile/package.json').name).toBe('rs-sendfile');
  });

  test('an inner file cannot', async () => {
    const { stdout } = await runInChild(
      `try { require('rs-sendfile/lib/native'); } catch (error) { console.log(error.code); }`,
    );
    expect(stdout).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });
});

describe('constants', () => {
  test('are the flags of FreeBSD, undefined elsewhere, also by name', () => {
    expect(Object.keys(rsSendfile.constants).sort()).toEqual([...FLAGS].sort());
    for (const flag of FLAGS) {
      expect(flag in rsSendfile).toBe(true);
      expect(rsSendfile[flag]).toBe(rsSendfile.constants[flag]);
      expect(typeof rsSendfile[flag]).toBe(isFreeBSD ? 'number' : 'undefined');
    }
  });

  test('are frozen, as is support', () => {
    expect(Object.isFrozen(rsSendfile.constants)).toBe(true);
    expect(Object.isFrozen(rsSendfile.support)).toBe(true);
  });
});

describe('support', () => {
  test('tells that the call works here, and by which system call', () => {
    const { support } = rsSendfile;
    expect(support.available).toBe(true);
    expect(typeof support.syscall).toBe('string');
    expect(support.platform).toMatch(new RegExp(`^${process.platform}-${process.arch}(-(gnu|musl))?$`));
    expect('reason' in support).toBe(false);
  });

  (process.platform === 'linux' ? test : test.skip)('names sendfile and the C library on Linux', () => {
    expect(rsSendfile.support.syscall).toBe('sendfile');
    expect(rsSendfile.support.platform).toMatch(/-(gnu|musl)$/);
  });
});

describe('without a binary that loads', () => {
  const report = `
    const fs = require('node:fs');
    const s = require('rs-sendfile');
    const describe = (error) => [error.code, error.errno, error.syscall, error.message];
    const input = fs.openSync(process.execPath, 'r');
    const out = fs.openSync('/dev/null', 'w');
    (async () => {
      const errors = [];
      try { s.sendfileSync(out, input, 0, 10); } catch (error) { errors.push(describe(error)); }
      await s.sendfile(out, input, 0, 10).catch((error) => errors.push(describe(error)));
      await s.waitWritable(out).catch((error) => errors.push(describe(error)));
      let wrong;
      try { s.sendfileSync('1', input, 0, 10); } catch (error) { wrong = error.code; }
      console.log(JSON.stringify({ names: Object.keys(s).sort(), support: s.support, errors, wrong,
        constants: Object.values(s.constants).filter((flag) => flag !== undefined) }));
    })();`;
  const runWith = (binary) => runInChild(report, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: binary } });

  test.each([
    ['a missing file', () => tmpPath('missing.node'), /missing\.node/],
    ['an empty file', () => tmpFile('', 'empty.node'), /empty\.node|too short/],
    ['a file of something else', () => tmpFile('no binary at all'.repeat(100), 'text.node'), /text\.node/],
    ['a directory', () => path.dirname(tmpFile('')), /Cannot find module/],
    ['a module without the functions', () => tmpFile('module.exports = {};', 'other.js'), /init/],
  ])('%s: requiring works, support tells why, the call is ENOSYS', async (_what, binary, reason) => {
    const { code, stdout, stderr } = await runWith(binary());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { names, support, errors, wrong, constants } = JSON.parse(stdout);
    expect(names).toEqual(declaredValues());
    expect(support).toMatchObject({ available: false, syscall: null, platform: rsSendfile.support.platform });
    expect(support.reason).toMatch(reason);
    expect(support.reason).not.toContain('\n');
    const { ENOSYS } = require('node:os').constants.errno;
    const text = 'ENOSYS: function not implemented';
    expect(errors).toEqual([
      ['ENOSYS', -ENOSYS, 'sendfile', `${text}, sendfile`],
      ['ENOSYS', -ENOSYS, 'sendfile', `${text}, sendfile`],
      ['ENOSYS', -ENOSYS, 'poll', `${text}, poll`],
    ]);
    expect(wrong).toBe('ERR_INVALID_ARG_TYPE');
    expect(constants).toEqual([]);
  });

  test('the path of a binary that loads is taken', async () => {
    const { stdout } = await runWith(binaryPath());
    expect(JSON.parse(stdout)).toMatchObject({ support: { available: true }, errors: [] });
  });
});
