'use strict';

/** How `rs-sendfile/send` is loaded, over whichever `send` the project has, and that nobody else's is changed. */

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const express = require('express');
const plain = require('send');
const send = require('../send');
const { root: project, runInChild, tmpPath } = require('./helpers');
const { connect, httpServer } = require('./http-client');
const { root, small, transfersOf } = require('./send-play');
const { expectBytes } = require('./streams');

const express4 = createRequire(require.resolve('express-4'));

/** A project that has this package, and this `send` or none. */
function projectWith(from) {
  const directory = tmpPath('project');
  const modules = path.join(directory, 'node_modules');
  const copy = path.join(modules, 'rs-sendfile');
  for (const entry of ['index.js', 'send.js', 'package.json', 'lib']) {
    fs.cpSync(path.join(project, entry), path.join(copy, entry), { recursive: true });
  }
  if (from) fs.symlinkSync(path.dirname(from.resolve('send')), path.join(modules, 'send'));
  return directory;
}

/** What a program in this directory prints. */
async function printed(directory, program, args = []) {
  const file = path.join(directory, args.includes('module') ? 'program.mjs' : 'program.js');
  fs.writeFileSync(file, program);
  const env = { RS_SENDFILE_PROGRAM: file };
  const { code, stdout, stderr } = await runInChild(`import(process.env.RS_SENDFILE_PROGRAM)`, { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** All that can be seen of a prototype, and of what it inherits from. */
function shapeOf(object) {
  if (object === null || object === Object.prototype) return [];
  return [Object.getOwnPropertyDescriptors(object), ...shapeOf(Object.getPrototypeOf(object))];
}

const shared = Object.getPrototypeOf(plain({ headers: {} }, '/x'));
const before = shapeOf(shared);

describe('loading', () => {
  test('it has the name, the arguments and the exports of send', () => {
    expect([send.name, send.length]).toEqual([plain.name, plain.length]);
    expect(Object.keys(send)).toEqual(Object.keys(plain));
  });

  test.each([
    ['1', createRequire(__filename)],
    ['0', express4],
  ])('it stands on the version %s that its project has', async (_major, from) => {
    const { version } = from('send/package.json');
    const out = await printed(
      projectWith(from),
      `const plain = require('send');
       const send = require('rs-sendfile/send');
       const sending = send({ headers: {} }, '/x');
       console.log(JSON.stringify([
         require('send/package.json').version,
         Object.getPrototypeOf(sending) === Object.getPrototypeOf(plain({ headers: {} }, '/x')),
         Object.keys(send),
         send.mime === plain.mime,
         send.mime?.lookup('a.html'),
       ]));`,
    );
    const mime = version.startsWith('0.') ? ['mime'] : [];
    const type = mime.length > 0 ? 'text/html' : null;
    expect(JSON.parse(out)).toEqual([version, true, mime, true, type]);
  });

  test('it can be imported, and mime of the versions that have it', async () => {
    const out = await printed(
      projectWith(express4),
      `import send, { mime } from 'rs-sendfile/send';
       import plain from 'send';
       console.log(send.name, mime === plain.mime, mime === send.mime);`,
      ['module'],
    );
    expect(out).toBe('send true true\n');
  });

  test('without send, requiring it tells what to install', async () => {
    const out = await printed(
      projectWith(null),
      `require('rs-sendfile');
       try {
         require('rs-sendfile/send');
       } catch (error) {
         console.log(JSON.stringify([error.code, error.message, error.cause.code]));
       }`,
    );
    const [code, message, cause] = JSON.parse(out);
    expect(code).toBe('ERR_SENDFILE_PEER_MISSING');
    expect(message).toBe(
      "rs-sendfile/send needs the package 'send', which is not installed: npm install send",
    );
    expect(cause).toBe('MODULE_NOT_FOUND');
  });

  test('a send that lacks a part of its own fails with its own error', async () => {
    const directory = projectWith(null);
    const broken = path.join(directory, 'node_modules', 'send');
    fs.mkdirSync(broken);
    fs.writeFileSync(path.join(broken, 'index.js'), `require('no-such-part');`);
    const out = await printed(
      directory,
      `try { require('rs-sendfile/send'); } catch (error) { console.log(error.code, error.message.split('\\n')[0]); }`,
    );
    expect(out).toBe("MODULE_NOT_FOUND Cannot find module 'no-such-part'\n");
  });
});

describe('everybody else', () => {
  /** Asks once: the body, and the transfers that it took. */
  async function ask(handler) {
    const { port } = await httpServer(handler);
    const client = connect(port);
    client.send('/small.bin');
    const [{ body }, begun] = await transfersOf(() => client.response());
    expectBytes(body, small);
    return begun.length;
  }

  test("Express's own send stays as it is, while ours is used beside it", async () => {
    const app = express();
    app.use('/static', express.static(root));
    app.get('/small.bin', (_req, res) => res.sendFile('small.bin', { root }));
    expect(await ask((req, res) => send(req, req.url, { root }).pipe(res))).toBe(1);
    expect(await ask(app)).toBe(0);
    expect(await ask((req, res) => plain(req, req.url, { root }).pipe(res))).toBe(0);
  });

  test("the shared prototype of send, and Node's of streams, are as they were", () => {
    expect(shapeOf(shared)).toEqual(before);
    expect(Object.hasOwn(send({ headers: {} }, '/x'), 'stream')).toBe(true);
    expect(Object.keys(send({ headers: {} }, '/x'))).toEqual(Object.keys(plain({ headers: {} }, '/x')));
    expect(Object.hasOwn(fs.ReadStream.prototype, 'pipe')).toBe(false);
  });

  test('a program that replaces the step itself has its own', async () => {
    const begun = await ask((req, res) => {
      const sending = send(req, req.url, { root });
      sending.stream = (file) => fs.createReadStream(file).pipe(res);
      sending.pipe(res);
    });
    expect(begun).toBe(0);
  });

  test('a program that inherits from what it was given has the same', async () => {
    const begun = await ask((req, res) => Object.create(send(req, req.url, { root })).pipe(res));
    expect(begun).toBe(1);
  });
});
