'use strict';

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { pattern, tmpPath } = require('../helpers');
const { expectBytes } = require('../streams');
const { get, runLine, startExample } = require('./example');
const { endsCleanly, webTests } = require('./web');

const current = webTests('download', { routes: ['/'] });
endsCleanly(current);

describe('a download', () => {
  const content = pattern(24 << 20, 84);
  const sum = createHash('sha256').update(content).digest('base64');
  const directory = tmpPath('files');
  let example;

  beforeAll(async () => {
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, 'sample.bin'), content);
    example = await startExample('download', [directory]);
  });

  test('is cut off by the server half-way, goes on from there, and is whole', async () => {
    const [, told] = await example.said(/^SHA-256 (\S+): as the server has it$/m);
    expect(told).toBe(sum);
    const { stdout } = example.output;
    const [, sent] = /^the server has sent (\d+\.\d) MiB: ABORT_ERR$/m.exec(stdout);
    expect(Number(sent)).toBeGreaterThanOrEqual(12);
    const [, from] = /^cut off after .* going on with Range: bytes=(\d+)-$/m.exec(stdout);
    expect(Number(from)).toBeGreaterThan(0);
    expect(Number(from)).toBeLessThan(content.length);
    expect(stdout.match(/^cut off after/gm).length).toBe(1);
    expect(stdout).toMatch(/^\[#+-+\] +\d+ % \d+\.\d of 24\.0 MiB$/m);
    expect(stdout).toContain('[########################] 100 % 24.0 of 24.0 MiB\n');
  });

  test('tells the SHA-256 of the whole file with each part of it', async () => {
    const { status, headers, body } = await get(example.port, '/sample.bin', { Range: 'bytes=99-199' });
    expect([status, headers['repr-digest']]).toEqual([206, `sha-256=:${sum}:`]);
    expectBytes(body, content.subarray(99, 200));
  });

  test('by curl goes on as well', async () => {
    // Without curl this fails, and says so: another client would prove nothing about the line.
    const sample = path.join(directory, 'sample.bin');
    const { code, bytes, stderr } = await runLine(
      `head -c 5000000 '${sample}' > sample.bin; ${example.command}`,
    );
    expect([code, stderr]).toEqual([0, expect.stringContaining('Resuming')]);
    expectBytes(bytes, content);
  });

  test('by the client alone goes on in another process', async () => {
    const client = path.join(__dirname, '..', '..', 'examples', 'download-client.js');
    const url = `http://127.0.0.1:${example.port}/sample.bin`;
    const { headers } = await get(example.port, '/sample.bin', {}, 'HEAD');
    const file = tmpPath('copy');
    fs.writeFileSync(`${file}.part`, content.subarray(0, 1_000_000));
    fs.writeFileSync(`${file}.part.etag`, headers.etag);
    const { code, bytes, stderr } = await runLine(`'${process.execPath}' '${client}' ${url} '${file}'`);
    expect([code, stderr]).toEqual([0, '']);
    expect(bytes.toString()).toMatch(/^\[#-+\] +4 % 1\.0 of 24\.0 MiB$/m);
    expectBytes(fs.readFileSync(file), content);
    expect(fs.readdirSync(path.dirname(file)).filter((name) => name.startsWith(path.basename(file)))).toEqual(
      [path.basename(file)],
    );
  });

  test('of which the client holds a part of another state begins anew', async () => {
    const client = path.join(__dirname, '..', '..', 'examples', 'download-client.js');
    const url = `http://127.0.0.1:${example.port}/sample.bin`;
    const file = tmpPath('copy');
    fs.writeFileSync(`${file}.part`, pattern(1_000_000, 85));
    fs.writeFileSync(`${file}.part.etag`, '"another"');
    const { code } = await runLine(`'${process.execPath}' '${client}' ${url} '${file}'`);
    expect(code).toBe(0);
    expectBytes(fs.readFileSync(file), content);
  });

  test('with a wrong byte in the part is noticed', async () => {
    const client = path.join(__dirname, '..', '..', 'examples', 'download-client.js');
    const url = `http://127.0.0.1:${example.port}/sample.bin`;
    const { headers } = await get(example.port, '/sample.bin', {}, 'HEAD');
    const file = tmpPath('copy');
    fs.writeFileSync(`${file}.part`, pattern(1_000_000, 85));
    fs.writeFileSync(`${file}.part.etag`, headers.etag);
    const { code, stderr } = await runLine(`'${process.execPath}' '${client}' ${url} '${file}'`);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^SHA-256 is .*, not /)]);
    expect(fs.existsSync(file)).toBe(false);
  });
});
