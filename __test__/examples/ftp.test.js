'use strict';

const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { readAll, until } = require('../helpers');
const { expectBytes } = require('../streams');
const { makeSite, openFiles, runLine, startExample, tryCommand } = require('./example');

let example;
let site;

beforeAll(async () => {
  site = makeSite();
  example = await startExample('ftp', [site.directory]);
});

const url = (name) => `ftp://127.0.0.1:${example.port}/${name}`;
const curl = (options, name) => runLine(`curl -sS --max-time 15 ${options} '${url(name)}'`);

describe('curl', () => {
  test('the line that it prints works', async () => {
    expectBytes(await tryCommand(example.command), site.readme);
  });

  test.each([
    ['EPSV', ''],
    ['PASV', '--disable-epsv'],
  ])('a data connection by %s', async (_command, options) => {
    const { code, bytes } = await curl(options, 'README.md');
    expect(code).toBe(0);
    expectBytes(bytes, site.readme);
  });

  test('goes on where a download has ended (REST)', async () => {
    const readme = path.join(site.directory, 'README.md');
    const line = `head -c 123456 '${readme}' > copy; curl -sS -v -C - -o copy ${url('README.md')}`;
    const { code, bytes, stderr } = await runLine(line);
    expect([code, stderr]).toEqual([0, expect.stringContaining('> REST 123456')]);
    expect(stderr).toContain('< 150 176544 bytes are coming');
    expectBytes(bytes, site.readme);
  });

  test('a part from an offset on', async () => {
    const { code, bytes } = await curl('-C 299990', 'README.md');
    expect(code).toBe(0);
    expectBytes(bytes, site.readme.subarray(299_990));
  });

  test('length and date of a file (SIZE, MDTM)', async () => {
    const { bytes } = await curl('-I', 'README.md');
    expect(bytes.toString()).toMatch(/^Content-Length: 300000\r?$/m);
    expect(bytes.toString()).toMatch(/^Last-Modified: .* GMT\r?$/m);
  });

  test('a file in a directory of it', async () => {
    const { bytes } = await curl('--ftp-method nocwd', 'sub/inner.txt');
    expectBytes(bytes, site.inner);
  });

  test.each([
    ['a file that is not there', 'missing'],
    ['a hidden file', '.hidden'],
    ['an absolute path', '%2fetc%2fpasswd'],
    ['a path that leads out', '..%2f..%2f..%2f..%2fetc%2fpasswd'],
    ['a link that leads out', 'link.txt'],
    ['a directory', 'sub'],
    ['a FIFO', 'fifo'],
  ])('%s is refused', async (_what, name) => {
    const { code, bytes } = await curl('--ftp-method nocwd', name);
    expect([code, bytes.length]).toEqual([78, 0]); // the file does not exist
  });
});

/** A control connection by hand: `ask(line)` sends it and gives the answer. */
async function control({ login = true } = {}) {
  const socket = net.connect({ host: '127.0.0.1', port: example.port }).setEncoding('utf8');
  socket.on('error', () => {});
  let rest = '';
  const lines = socket.iterator({ destroyOnReturn: false });
  async function answer() {
    while (!rest.includes('\r\n')) {
      const { value, done } = await lines.next();
      if (done) return null;
      rest += value;
    }
    const [line] = rest.split('\r\n', 1);
    rest = rest.slice(line.length + 2);
    return line;
  }
  const ask = (line) => {
    socket.write(`${line}\r\n`);
    return answer();
  };
  expect(await answer()).toBe('220 rs-sendfile');
  if (login) {
    await ask('USER anonymous');
    expect(await ask('PASS x')).toMatch(/^230 /);
  }
  return { socket, ask, answer };
}

/** The data connection that a client is offered; it reads nothing by itself. */
async function openData({ ask }) {
  const [, port] = /^229 .*\(\|\|\|(\d+)\|\)$/.exec(await ask('EPSV'));
  const data = net.connect({ host: '127.0.0.1', port: Number(port) });
  data.on('error', () => {});
  await once(data, 'connect');
  return data;
}

describe('commands', () => {
  test.each([
    ['SIZE README.md', '213 300000'],
    ['MDTM README.md', expect.stringMatching(/^213 \d{14}$/)],
    ['SIZE missing', '550 no such file'],
    ['RETR README.md', '425 PASV or EPSV first'],
    ['REST x', '501 a number of bytes'],
    ['REST 99999999999999999999', '501 a number of bytes'],
    ['TYPE E', '504 A or I'],
    ['STOR README.md', '502 no such command'],
    ['toString', '502 no such command'],
    ['', '502 no such command'],
  ])('%s: %s', async (line, answer) => {
    const { ask, socket } = await control();
    expect(await ask(line)).toEqual(answer);
    socket.destroy();
  });

  test('nothing before USER and PASS', async () => {
    const { ask, socket } = await control({ login: false });
    expect(await ask('SIZE README.md')).toBe('530 USER and PASS first');
    socket.destroy();
  });

  test('QUIT is answered, and ends the connection', async () => {
    const { ask, answer } = await control();
    expect(await ask('QUIT')).toBe('221 goodbye');
    expect(await answer()).toBe(null);
  });

  test('several that come at once are answered one after the other', async () => {
    const client = await control();
    const data = await openData(client);
    client.socket.write('NOOP\r\nREST 200000\r\nRETR README.md\r\nSYST\r\n');
    const body = await readAll(data);
    expectBytes(body, site.readme.subarray(200_000));
    const answers = [];
    while (answers.length < 5) answers.push(await client.answer());
    expect(answers.map((line) => line.slice(0, 3))).toEqual(['200', '350', '150', '226', '215']);
    client.socket.destroy();
  });

  test('a line without an end ends the connection', async () => {
    const { socket, answer } = await control();
    socket.write('x'.repeat(5000));
    expect(await answer()).toBe(null);
  });

  test('REST past the end of the file', async () => {
    const client = await control();
    const closed = once((await openData(client)).resume(), 'close');
    await client.ask('REST 300001');
    expect(await client.ask('RETR README.md')).toBe('554 the file ends before');
    await closed;
    client.socket.destroy();
  });
});

describe('a client that leaves', () => {
  /** Whether it still serves. */
  async function serves() {
    const { code, bytes } = await curl('', 'README.md');
    expect(code).toBe(0);
    expectBytes(bytes, site.readme);
  }

  test('resets its data connection: it is told, and may go on', async () => {
    const client = await control();
    const data = await openData(client);
    expect(await client.ask('RETR big.bin')).toMatch(/^150 /);
    await once(data, 'readable');
    data.resetAndDestroy();
    expect(await client.answer()).toMatch(/^426 cut off after [1-9]\d* bytes$/);
    const again = await openData(client);
    expect(await client.ask('RETR sub/inner.txt')).toMatch(/^150 /);
    expectBytes(await readAll(again), site.inner);
    expect(await client.answer()).toBe('226 done');
    client.socket.destroy();
    await serves();
  });

  test('resets its data connection before anything is asked for', async () => {
    const client = await control();
    const data = await openData(client);
    data.resetAndDestroy();
    expect(await client.ask('NOOP')).toBe('200 yes');
    expect(await client.ask('RETR README.md')).toMatch(/^150 /);
    expect(await client.answer()).toMatch(/^426 cut off after 0 bytes$/);
    client.socket.destroy();
    await serves();
  });

  test('ends its control connection: the download ends with it', async () => {
    const client = await control();
    const data = await openData(client);
    await client.ask('RETR big.bin');
    await once(data, 'readable');
    client.socket.resetAndDestroy();
    const body = await readAll(data).catch(() => Buffer.alloc(0));
    expect(body.length).toBeLessThan(64 << 20);
    await serves();
  });

  test('never comes for its data: the port is closed with the control connection', async () => {
    const client = await control();
    const [, port] = /\(\|\|\|(\d+)\|\)/.exec(await client.ask('EPSV'));
    client.socket.destroy();
    const refused = async () => {
      const socket = net.connect({ host: '127.0.0.1', port: Number(port) });
      const [error] = await Promise.race([once(socket, 'error'), once(socket, 'connect')]).catch((e) => [e]);
      socket.destroy();
      return error?.code === 'ECONNREFUSED';
    };
    await until(refused, 'the port to be closed');
    await serves();
  });
});

test('no file stays open', async () => {
  await until(() => openFiles(example.child.pid, site.directory).length === 0, 'its files to be closed');
});

test('ends by SIGTERM with code 0, in the middle of a download too, and has printed no error', async () => {
  const client = await control();
  const data = await openData(client);
  await client.ask('RETR big.bin');
  await once(data, 'readable');
  expect(await example.stop()).toEqual({ code: 0, signal: null });
  data.destroy();
  expect(example.output.stderr).toBe('');
});
