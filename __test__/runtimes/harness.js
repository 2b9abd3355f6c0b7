'use strict';

/**
 * Tests for whatever runs JavaScript: no jest, which is Node's. A program calls `test` and then `run`; each test is one
 * line of output, `ok` or `not ok`, and the last line says how many there were.
 */

const assert = require('node:assert');
const { subscribe } = require('node:diagnostics_channel');
const fs = require('node:fs');
const { pattern, tmpFile } = require('../helpers');

/** Which one this is; the tests ask only to say what they expect of it. */
const runtime = process.versions.bun ? 'bun' : process.versions.deno ? 'deno' : 'node';
/** Arguments by which this runtime runs a file. */
const runArgs = runtime === 'deno' ? ['run', '-A'] : [];

/** A test that hangs has failed. Who emulates a processor gives it longer. */
const LIMIT_MS = Number(process.env.RS_SENDFILE_TEST_LIMIT_MS ?? 40_000);

const tests = [];

function test(name, body) {
  tests.push({ name, body });
}

async function run() {
  let failed = 0;
  for (const { name, body } of tests) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_MS} ms`)), LIMIT_MS);
    });
    try {
      await Promise.race([body(), late]);
      fs.writeSync(1, `ok ${name}\n`);
    } catch (error) {
      failed += 1;
      fs.writeSync(1, `not ok ${name}\n${error?.stack ?? error}\n`);
    } finally {
      clearTimeout(timer);
    }
  }
  fs.writeSync(1, `${tests.length - failed} passed, ${failed} failed\n`);
  process.exit(failed === 0 ? 0 : 1);
}

/** Every transfer so far: how it went, and why that way. */
const told = [];
subscribe('tracing:rs-sendfile:transfer:asyncEnd', ({ method, reason, bytes, error }) => {
  told.push({ method, reason, bytes, code: error?.code });
});

/** The way that the last transfer took: `sendfile`, or `copy: why`. */
function lastWay() {
  const { method, reason } = told[told.length - 1];
  return method === 'copy' ? `copy: ${reason}` : method;
}

/** The code that a promise rejects with; the whole error is the second of the two. */
async function failure(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`resolved with ${value}`);
}

function assertBytes(actual, expected) {
  if (actual.equals(expected)) return;
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  assert.fail(`${actual.length} bytes instead of ${expected.length}; the first difference is at ${at}`);
}

/** A file of a pattern, and its bytes. */
function sample(length, seed = 7) {
  const bytes = pattern(length, seed);
  return { bytes, path: tmpFile(bytes) };
}

module.exports = { assert, assertBytes, failure, lastWay, run, runArgs, runtime, sample, test, told };
