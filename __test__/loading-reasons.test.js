'use strict';

/** What is said of a binary that the system's loader has refused. */

const reasons = require('../lib/reasons');

const file = '/app/rs-sendfile.node';
const said = (message, seen = {}, code = 'ERR_DLOPEN_FAILED') =>
  reasons.notLoaded(
    file,
    { code, message },
    { libc: 'glibc', glibc: () => '2.17', needed: ['libc.so.6'], ...seen },
  );

test('the first line of what the loader said is in it', () => {
  expect(said('dlopen failed: no such symbol\nRequire stack:\n- here')).toBe(
    `${file} does not load: dlopen failed: no such symbol`,
  );
});

test('too old a glibc: which it is, and that there is the source', () => {
  const text = said("/lib64/libc.so.6: version `GLIBC_2.34' not found (required by rs-sendfile.node)");
  expect(text).toMatch(/GLIBC_2\.34.*newer glibc than 2\.17; .*from source/);
});

test.each([
  ['glibc', 'musl', ['libgcc_s.so.1', 'libc.so.6'], 'Error loading shared library ld-linux-x86-64.so.2'],
  ['musl', 'glibc', ['libc.musl-x86_64.so.1'], 'libc.musl-x86_64.so.1: cannot open shared object file'],
  ['musl', 'glibc', ['libc.so'], '/usr/lib/libc.so: invalid ELF header'],
])('a binary for %s in a process on %s', (built, libc, needed, message) => {
  const text = said(message, { needed, libc });
  expect(text).toContain(message);
  expect(text).toContain(`built for ${built}, and this process runs on ${libc}`);
});

test.each([
  ['the same C library', { needed: ['libc.so.6'] }],
  ['none that is known', { needed: ['libSystem.B.dylib'] }],
  ['a process that does not tell its own', { needed: ['libc.so'], libc: null }],
])('%s: the loader’s words alone', (_, seen) => {
  expect(said('something else', seen)).toBe(`${file} does not load: something else`);
});

test('addons that are switched off: by which flags', () => {
  const text = said(
    'Cannot load native addon because loading addons is disabled.',
    {},
    'ERR_DLOPEN_DISABLED',
  );
  expect(text).toMatch(/--allow-addons.*--no-addons/);
});
