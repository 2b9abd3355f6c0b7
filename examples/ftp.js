'use strict';

/**
 * A read-only FTP server of one directory, as far as curl asks: RETR is a transfer on the data connection.
 * `npm run example -- ftp [dir] [--port N]`
 */

const net = require('node:net');
const { transfer } = require('..');
const { linesOf } = require('./lib/lines');
const { readOptions } = require('./lib/options');
const { openPassive } = require('./lib/passive');
const { findFile } = require('./lib/resource');
const { announce, endOnSignal, listen, peersOf, sampleOf } = require('./lib/serve');

const IDLE_MS = 60_000;
const peers = peersOf(IDLE_MS);

const { root, port } = readOptions(process.argv.slice(2), { name: 'ftp', defaultPort: 2121 });

/** What each command does, and what it answers. A name that leads nowhere, or out, throws. */
const COMMANDS = {
  __proto__: null,
  USER: () => '331 any password will do',
  PASS(session) {
    session.known = true;
    return '230 welcome';
  },
  SYST: () => '215 UNIX Type: L8',
  NOOP: () => '200 yes',
  PWD: () => '257 "/"',
  CWD: (_session, name) => (name === '/' ? '250 here' : '550 there is one directory'),
  TYPE: (_session, type) => (/^[AI]$/i.test(type) ? '200 bytes as they are' : '504 A or I'),
  SIZE: async (_session, name) => `213 ${(await find(name)).stat.size}`,
  MDTM: async (_session, name) =>
    `213 ${(await find(name)).stat.mtime.toISOString().replace(/\..*|\D/g, '')}`,
  REST(session, offset) {
    if (!/^\d{1,15}$/.test(offset)) return '501 a number of bytes';
    session.offset = Number(offset);
    return `350 from byte ${session.offset} on`;
  },
  async EPSV(session) {
    return `229 come in (|||${await openData(session)}|)`;
  },
  async PASV(session) {
    const number = await openData(session);
    return `227 come in (127,0,0,1,${number >> 8},${number & 255})`;
  },
  RETR: retrieve,
  QUIT: () => '221 goodbye',
};

async function retrieve(session, name) {
  const { data, offset, signal } = session;
  session.data = null;
  session.offset = 0;
  if (!data) return '425 PASV or EPSV first';
  let socket;
  try {
    const { file, stat } = await find(name);
    if (offset > stat.size) return '554 the file ends before';
    session.say(`150 ${stat.size - offset} bytes are coming`);
    socket = await data.socket;
    await transfer(socket, file, { offset, signal, timeout: IDLE_MS });
    socket.end();
    return '226 done';
  } catch (error) {
    if (error.status) throw error;
    return `426 cut off after ${error.bytesSent ?? 0} bytes`;
  } finally {
    if (!socket?.writableEnded) data.close();
  }
}

async function openData(session) {
  session.data?.close();
  session.data = await openPassive(session.control);
  session.data.socket.then(peers.add, () => {});
  return session.data.port;
}

function find(name) {
  return findFile(root, name.replace(/^\/+/, ''));
}

async function answer(session, line) {
  const [, verb = '', argument = ''] = /^([a-z]{3,4})(?: (.*))?$/i.exec(line) ?? [];
  const command = COMMANDS[verb.toUpperCase()];
  if (!command) return '502 no such command';
  if (!session.known && !/^(USER|PASS|QUIT)$/i.test(verb)) return '530 USER and PASS first';
  try {
    return await command(session, argument);
  } catch (error) {
    return error.status ? '550 no such file' : `451 ${error.code ?? error.message}`;
  }
}

/** One command after the other, as long as the client is there. */
async function converse(control) {
  const gone = new AbortController();
  control.once('close', () => {
    gone.abort();
    session.data?.close();
  });
  const say = (line) => control.write(`${line}\r\n`);
  const session = { control, say, signal: gone.signal, data: null, offset: 0, known: false };
  say('220 rs-sendfile');
  for await (const line of linesOf(control)) {
    control.setTimeout(0); // a download may take longer than a client may think
    say(await answer(session, line));
    if (/^QUIT$/i.test(line)) break;
    control.setTimeout(IDLE_MS);
  }
  control.end();
}

const server = net.createServer((control) => {
  peers.add(control);
  converse(control).catch(() => control.destroy());
});
server.maxConnections = 100;
listen(server, port, (actual) => {
  announce('ftp', root, `curl ftp://127.0.0.1:${actual}/${sampleOf(root)}`);
});
endOnSignal(() => {
  server.close();
  peers.destroy();
});
