'use strict';

/**
 * How a release is published: in which order, what is left alone, and when it ends. By an npm that is none, and notes
 * what it is told.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { prebuilt } = require('../../lib/prebuilt');
const { checks } = require('../../scripts/release');
const { root, tmpPath } = require('../helpers');

const { version } = require('../../package.json');
const platforms = prebuilt.map(({ name }) => `rs-sendfile-${name}`);
const names = [...platforms, 'rs-sendfile'];

/** A registry in a file, and an npm that knows it: `{ published, refused, silent }` by names. */
function registry(state) {
  const directory = tmpPath('registry');
  const packages = path.join(directory, 'packages');
  const record = path.join(directory, 'state.json');
  const cli = path.join(directory, 'npm-cli.js');
  fs.mkdirSync(packages, { recursive: true });
  for (const name of names) fs.writeFileSync(path.join(packages, `${name}-${version}.tgz`), '');
  fs.writeFileSync(record, JSON.stringify({ published: [], refused: [], mute: [], calls: [], ...state }));
  fs.writeFileSync(
    cli,
    `const fs = require('node:fs');
     const state = JSON.parse(fs.readFileSync(${JSON.stringify(record)}));
     const [verb, what, ...rest] = process.argv.slice(2);
     const end = (code, text = '') => {
       fs.writeFileSync(${JSON.stringify(record)}, JSON.stringify(state));
       (code ? process.stderr : process.stdout).write(text);
       process.exitCode = code;
     };
     if (verb === 'view') {
       const name = what.split('@')[0];
       if (state.mute.includes(name)) end(1, 'npm error code ETIMEDOUT');
       else if (state.published.includes(name)) end(0, ${JSON.stringify(version)});
       else if (state.known?.includes(name)) end(0);
       else end(1, 'npm error code E404');
     } else {
       const name = require('node:path').basename(what).replace(/-\\d.*/, '');
       state.calls.push([verb, name, ...rest]);
       if (state.refused.includes(name)) end(1, 'npm error code E403');
       else {
         state.published.push(name);
         end(0);
       }
     }`,
  );
  return {
    packages,
    publish(...args) {
      const { status, stdout } = spawnSync(
        process.execPath,
        [path.join(root, 'scripts', 'release.js'), 'publish', ...args],
        { env: { ...process.env, npm_execpath: cli, RS_SENDFILE_PACKAGES: packages }, encoding: 'utf8' },
      );
      return { status, last: stdout.trim().split('\n').at(-1) };
    },
    calls: () => JSON.parse(fs.readFileSync(record, 'utf8')).calls,
  };
}

const called = (all) => all.map(([, name]) => name);

describe('publishing', () => {
  test('the platforms first, the main package last, each for everybody', () => {
    const { publish, calls } = registry({});
    expect(publish('--provenance')).toEqual({ status: 0, last: `${names.length} passed, 0 failed` });
    expect(calls()).toEqual(names.map((name) => ['publish', name, '--access', 'public', '--provenance']));
  });

  test('what is published already is left alone', () => {
    const { publish, calls } = registry({ published: platforms.slice(0, 4) });
    expect(publish()).toEqual({ status: 0, last: `${names.length} passed, 0 failed` });
    expect(called(calls())).toEqual(names.slice(4));
  });

  test('of a package that has other versions only, this one is published', () => {
    const { publish, calls } = registry({ known: names });
    expect(publish().status).toBe(0);
    expect(called(calls())).toEqual(names);
  });

  test('ends at a platform that cannot be published: the main package does not name what is not there', () => {
    const { publish, calls } = registry({ refused: [platforms[2]] });
    expect(publish()).toEqual({ status: 1, last: '2 passed, 1 failed' });
    expect(called(calls())).toEqual(platforms.slice(0, 3));
  });

  test('ends where npm cannot tell what is published', () => {
    const { publish, calls } = registry({ mute: [platforms[1]] });
    expect(publish()).toEqual({ status: 1, last: '1 passed, 1 failed' });
    expect(called(calls())).toEqual(platforms.slice(0, 1));
  });

  test('does not begin while a package is missing', () => {
    const { publish, calls, packages } = registry({});
    fs.rmSync(path.join(packages, `${platforms[5]}-${version}.tgz`));
    expect(publish()).toEqual({ status: 1, last: '0 passed, 1 failed' });
    expect(calls()).toEqual([]);
  });
});

describe('a tree is released', () => {
  const right = {
    manifest: { version: '1.2.3', repository: { url: 'git+https://example.com/owner/name.git' } },
    changelog: '# Changelog\n\n## 1.2.3 - 2030-01-31\n\n## 1.2.2 - 2029-01-01\n',
    tag: 'v1.2.3',
    repository: 'owner/name',
  };
  const wrong = (changes) =>
    Object.entries(checks({ ...right, ...changes }))
      .filter(([, why]) => why !== null)
      .map(([what]) => what);

  test('if all of it says so', () => {
    expect(wrong({})).toEqual([]);
  });

  test.each([
    ['another tag', { tag: 'v1.2.4' }, ['tag']],
    ['a tag without its v', { tag: '1.2.3' }, ['tag']],
    ['no tag', { tag: undefined }, ['tag']],
    ['a changelog without its day', { changelog: '## 1.2.3 - unreleased' }, ['changelog']],
    ['a changelog of an older version', { changelog: '## 1.2.2 - 2029-01-01' }, ['changelog']],
    ['no repository', { manifest: { version: '1.2.3' } }, ['repository']],
    ['a repository elsewhere', { repository: 'other/name' }, ['repository']],
  ])('not with %s', (_, changes, what) => {
    expect(wrong(changes)).toEqual(what);
  });
});
